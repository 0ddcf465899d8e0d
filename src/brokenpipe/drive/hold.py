"""`up` and `down`: a stack that stands by itself, in a process of its own with a janitor of its own.

up     starts the keeper in a session of its own, and waits for its note
keeper holds the stack until SIGTERM; its note says where everything listens
down   reads the note, ends the keeper, waits until it is gone
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from brokenpipe.drive.folder import cannot_write
from brokenpipe.drive.run import Terminated
from brokenpipe.errors import StackError, UsageError
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.janitor import janitor
from brokenpipe.stack.local import local_stack
from brokenpipe.stack.ports import poll

START_TIMEOUT_S = 180.0  # the first start builds the Toxiproxy server
STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Note:
    """Where a standing stack listens, and who keeps it. `born` tells its process from a later one."""

    pid: int
    born: float
    scenario: str
    targets: Mapping[str, str]  # arm → URL
    proxies: Mapping[str, str]  # arm → host:port
    toxiproxy: str
    postgres: str


def keeper_folder(project: Project) -> Path:
    """Where the keeper's note and logs are."""
    return project.reports / ".up"


def keep(plan: Plan, sources: Sources, project: Project) -> None:
    """Hold the stack until SIGTERM. This is what the keeper's process does."""
    folder = keeper_folder(project)
    with (
        janitor(secrets.token_hex(8)) as undo,
        local_stack(
            plan,
            project=project,
            target_folder=sources.target_folder,
            report=folder,
            janitor=undo,
            on_step=_silent,
        ) as stack,
    ):
        note = Note(
            pid=os.getpid(),
            born=psutil.Process().create_time(),
            scenario=plan.stem,
            targets={name: arm.service.url for name, arm in stack.arms.items()},
            proxies={name: f"{arm.proxy.host}:{arm.proxy.port}" for name, arm in stack.arms.items()},
            toxiproxy=f"http://127.0.0.1:{stack.toxiproxy.api_port}",
            postgres=f"{stack.postgres.host}:{stack.postgres.port}",
        )
        fresh = folder / "note.fresh"
        fresh.write_text(json.dumps(asdict(note)))
        fresh.replace(folder / "note.json")
        try:
            with suppress(Terminated, KeyboardInterrupt):
                while True:
                    signal.pause()
        finally:
            (folder / "note.json").unlink(missing_ok=True)


def _silent(_step: str) -> None:
    """The keeper tells nobody what it is doing."""


def up(project: Project, arguments: list[str]) -> Note:
    """Start a keeper. Raises UsageError if one stands already, StackError if it does not come up."""
    if standing := read_note(project):
        raise UsageError(
            f"a stack of {standing.scenario} stands already (process {standing.pid})",
            remedy="Use it, or end it with `brokenpipe down`.",
        )
    folder = keeper_folder(project)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = (folder / "keeper.log").open("wb")
    except OSError as error:
        raise cannot_write(folder, error) from error
    with log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "brokenpipe", "keep", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    note = poll(lambda: _note_of(project, keeper), timeout_s=START_TIMEOUT_S, every_s=0.1)
    if note is None or keeper.poll() is not None:
        with suppress(ProcessLookupError):
            keeper.terminate()
        raise StackError(
            "the stack did not come up",
            remedy=f"See {folder / 'keeper.log'} and {folder / 'logs'}.",
            details=tuple((folder / "keeper.log").read_text(errors="replace").splitlines()[-12:]),
        )
    return note


def _note_of(project: Project, keeper: subprocess.Popen[bytes]) -> Note | None:
    note = read_note(project)
    return note or (_GONE if keeper.poll() is not None else None)


_GONE = Note(0, 0.0, "", {}, {}, "", "")


def read_note(project: Project) -> Note | None:
    """The note of the stack that stands, or None."""
    path = keeper_folder(project) / "note.json"
    try:
        note = Note(**json.loads(path.read_text()))
        alive = abs(psutil.Process(note.pid).create_time() - note.born) < 0.01
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return note if alive else None


def down(project: Project) -> Note | None:
    """End the stack that stands and wait for its end; None if there is none. Raises StackError."""
    note = read_note(project)
    if note is None:
        return None
    keeper = psutil.Process(note.pid)
    keeper.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while keeper.is_running() and keeper.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            raise StackError(
                f"the keeper (process {note.pid}) did not end within {STOP_TIMEOUT_S:g} s",
                remedy=f"`kill -9 {note.pid}`: its janitor takes everything else down.",
            )
        time.sleep(0.05)
    return note
