"""`up` and `down`: a stack in a daemon process of its own, with its own janitor.

up      starts the daemon in a session of its own, and waits for its note.json
daemon  keeps the stack until SIGTERM; note.json says where everything listens
down    reads note.json, ends the daemon, waits for its end
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

from brokenpipe import atomic_write
from brokenpipe.drive.run_folder import write_error
from brokenpipe.drive.run_session import Terminated
from brokenpipe.errors import StackError, UsageError
from brokenpipe.plan.endings import first_ending
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.start import start_stack

START_TIMEOUT_S = 180.0  # the first start builds the Toxiproxy server
STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class StackInfo:
    """Addresses of a running stack, and its daemon. `born`: when that process started."""

    pid: int
    born: float
    scenario: str
    targets: Mapping[str, str]  # arm → URL
    proxies: Mapping[str, str]  # arm → host:port
    toxiproxy: str
    postgres: str


def daemon_folder(project: Project) -> Path:
    """The folder of note.json and of the daemon's logs."""
    return project.reports / ".up"


def serve(plan: Plan, sources: Sources, project: Project, engine: str | None = None) -> None:
    """Keep the stack until SIGTERM: the daemon's whole work."""
    folder = daemon_folder(project)
    with (
        janitor(secrets.token_hex(8)) as daemon_janitor,
        start_stack(
            StackSpec(
                plan,
                project=project,
                target_folder=sources.target_folder,
                other_folders=sources.other_folders,
                report=folder,
                janitor=daemon_janitor,
                on_step=_ignore_step,
                rst_on_close=first_ending(plan.scenario.phases) == "reset",
                engine=engine,
                packet_filters=False,  # faults by hand go through Toxiproxy, which loses no packets
            )
        ) as stack,
    ):
        info = StackInfo(
            pid=os.getpid(),
            born=psutil.Process().create_time(),
            scenario=plan.stem,
            targets={name: arm.service.url for name, arm in stack.arms.items()},
            proxies={name: f"{arm.proxy.host}:{arm.proxy.port}" for name, arm in stack.arms.items()},
            toxiproxy=f"http://{stack.toxiproxy.host}:{stack.toxiproxy.api_port}",
            postgres=f"{stack.postgres.host}:{stack.postgres.port}",
        )
        atomic_write.write_text(folder / "note.json", json.dumps(asdict(info)))
        try:
            with suppress(Terminated, KeyboardInterrupt):
                while True:
                    signal.pause()
        finally:
            (folder / "note.json").unlink(missing_ok=True)


def _ignore_step(_step: str) -> None:
    """The daemon has no terminal to report steps to."""


def up(project: Project, arguments: list[str]) -> StackInfo:
    """Start a stack in a daemon. Raises UsageError if one is running, StackError if it does not start."""
    if running := read_info(project):
        raise UsageError(
            f"a stack of {running.scenario} stands already (process {running.pid})",
            remedy="Use it, or end it with `brokenpipe down`.",
        )
    folder = daemon_folder(project)
    with _daemon_lock(folder) as lock:
        _remove_old_logs(folder)
        with (folder / "keeper.log").open("wb") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "brokenpipe", "keep", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
            )
    try:
        info = poll(lambda: _info_of(project, daemon), timeout_s=START_TIMEOUT_S, every_s=0.1)
    except BaseException:  # Ctrl-C: the stack is not wanted any more
        _end_daemon(daemon)
        raise
    if info is None or daemon.poll() is not None:
        _end_daemon(daemon)
        raise StackError(
            "the stack did not come up",
            remedy=f"See {folder / 'keeper.log'} and {folder / 'logs'}.",
            details=tuple((folder / "keeper.log").read_text(errors="replace").splitlines()[-12:]),
        )
    return info


@contextmanager
def _daemon_lock(folder: Path) -> Iterator[int]:
    """A lock that the daemon inherits: it is held exactly as long as the daemon lives. Raises UsageError."""
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
    """Remove the logs of an earlier daemon: they are appended to and would grow without limit."""
    try:
        shutil.rmtree(folder / "logs", ignore_errors=True)
        for file in (folder / "note.json", *folder.glob("*.ndjson")):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


def _end_daemon(daemon: subprocess.Popen[bytes]) -> None:
    """End the daemon and wait; its janitor removes what is left."""
    daemon.terminate()
    try:
        daemon.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        daemon.kill()


def _info_of(project: Project, daemon: subprocess.Popen[bytes]) -> StackInfo | None:
    info = read_info(project)
    return info or (_DAEMON_ENDED if daemon.poll() is not None else None)


_DAEMON_ENDED = StackInfo(0, 0.0, "", {}, {}, "", "")


def read_info(project: Project) -> StackInfo | None:
    """The running stack, or None."""
    path = daemon_folder(project) / "note.json"
    try:
        info = StackInfo(**json.loads(path.read_text()))
        daemon = psutil.Process(info.pid)
        alive = abs(daemon.create_time() - info.born) < 0.01 and daemon.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return info if alive else None


def down(project: Project) -> StackInfo | None:
    """End the running stack and wait for its end; None if there is none. Raises StackError."""
    info = read_info(project)
    if info is None:
        return None
    try:
        daemon = psutil.Process(info.pid)
        daemon.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return info  # it has just ended
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while daemon.is_running() and daemon.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            raise StackError(
                f"the daemon (process {info.pid}) did not end within {STOP_TIMEOUT_S:g} s",
                remedy=f"`kill -9 {info.pid}`: its janitor takes everything else down.",
            )
        time.sleep(0.05)
    return info
