"""`up` and `down`: a stack that stands by itself, in a process of its own with a janitor of its own.

up     starts the keeper in a session of its own, and waits for its note
keeper holds the stack until SIGTERM; its note says where everything listens
down   reads the note, ends the keeper, waits until it is gone
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from brokenpipe.drive.run_folder import write_error
from brokenpipe.drive.runner import Terminated
from brokenpipe.errors import StackError, UsageError
from brokenpipe.plan.endings import first_ending
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.janitor import janitor
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.spec import Footing
from brokenpipe.stack.start import stack_on

START_TIMEOUT_S = 180.0  # the first start builds the Toxiproxy server
STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class StackInfo:
    """Where a standing stack listens, and who keeps it. `born` tells its process from a later one."""

    pid: int
    born: float
    scenario: str
    targets: Mapping[str, str]  # arm → URL
    proxies: Mapping[str, str]  # arm → host:port
    toxiproxy: str
    postgres: str


def daemon_folder(project: Project) -> Path:
    """Where the keeper's note and logs are."""
    return project.reports / ".up"


def serve(plan: Plan, sources: Sources, project: Project, engine: str | None = None) -> None:
    """Hold the stack until SIGTERM. This is what the keeper's process does."""
    folder = daemon_folder(project)
    with (
        janitor(secrets.token_hex(8)) as undo,
        stack_on(
            Footing(
                plan,
                project=project,
                target_folder=sources.target_folder,
                report=folder,
                janitor=undo,
                on_step=_ignore_step,
                armed=first_ending(plan.scenario.phases) == "reset",
                engine=engine,
                filters=False,  # whoever breaks it by hand asks Toxiproxy, which loses none
            )
        ) as stack,
    ):
        note = StackInfo(
            pid=os.getpid(),
            born=psutil.Process().create_time(),
            scenario=plan.stem,
            targets={name: arm.service.url for name, arm in stack.arms.items()},
            proxies={name: f"{arm.proxy.host}:{arm.proxy.port}" for name, arm in stack.arms.items()},
            toxiproxy=f"http://{stack.toxiproxy.host}:{stack.toxiproxy.api_port}",
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


def _ignore_step(_step: str) -> None:
    """The keeper tells nobody what it is doing."""


def up(project: Project, arguments: list[str]) -> StackInfo:
    """Start a keeper. Raises UsageError if one stands already, StackError if it does not come up."""
    if standing := read_info(project):
        raise UsageError(
            f"a stack of {standing.scenario} stands already (process {standing.pid})",
            remedy="Use it, or end it with `brokenpipe down`.",
        )
    folder = daemon_folder(project)
    with _daemon_lock(folder) as lock:
        _remove_old_logs(folder)
        with (folder / "keeper.log").open("wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "brokenpipe", "keep", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
            )
    try:
        note = poll(lambda: _info_of(project, keeper), timeout_s=START_TIMEOUT_S, every_s=0.1)
    except BaseException:  # Ctrl-C: who does not wait for a stack does not want one
        _end_daemon(keeper)
        raise
    if note is None or keeper.poll() is not None:
        _end_daemon(keeper)
        raise StackError(
            "the stack did not come up",
            remedy=f"See {folder / 'keeper.log'} and {folder / 'logs'}.",
            details=tuple((folder / "keeper.log").read_text(errors="replace").splitlines()[-12:]),
        )
    return note


@contextmanager
def _daemon_lock(folder: Path) -> Iterator[int]:
    """A lock that the keeper inherits, so that it is held exactly as long as a keeper lives. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    except OSError as error:
        raise write_error(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "a stack is just being started, or ended",
                remedy="Wait for it, then use it, or end it with `brokenpipe down`.",
            ) from error
        yield lock.fileno()


def _remove_old_logs(folder: Path) -> None:
    """Remove what an earlier keeper recorded: logs are appended to and would grow for ever."""
    try:
        shutil.rmtree(folder / "logs", ignore_errors=True)
        for file in (folder / "note.json", *folder.glob("*.ndjson")):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


def _end_daemon(keeper: subprocess.Popen[bytes]) -> None:
    """Ask it to end and wait; its janitor takes down what it leaves."""
    keeper.terminate()
    try:
        keeper.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        keeper.kill()


def _info_of(project: Project, keeper: subprocess.Popen[bytes]) -> StackInfo | None:
    note = read_info(project)
    return note or (_DAEMON_ENDED if keeper.poll() is not None else None)


_DAEMON_ENDED = StackInfo(0, 0.0, "", {}, {}, "", "")


def read_info(project: Project) -> StackInfo | None:
    """The note of the stack that stands, or None."""
    path = daemon_folder(project) / "note.json"
    try:
        note = StackInfo(**json.loads(path.read_text()))
        keeper = psutil.Process(note.pid)
        alive = abs(keeper.create_time() - note.born) < 0.01 and keeper.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return note if alive else None


def down(project: Project) -> StackInfo | None:
    """End the stack that stands and wait for its end; None if there is none. Raises StackError."""
    note = read_info(project)
    if note is None:
        return None
    try:
        keeper = psutil.Process(note.pid)
        keeper.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return note  # it ended in this very moment
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while keeper.is_running() and keeper.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            raise StackError(
                f"the keeper (process {note.pid}) did not end within {STOP_TIMEOUT_S:g} s",
                remedy=f"`kill -9 {note.pid}`: its janitor takes everything else down.",
            )
        time.sleep(0.05)
    return note
