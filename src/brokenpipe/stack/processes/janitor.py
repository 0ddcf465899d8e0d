"""One process per run that cleans up when the harness is gone, however it ended.

The harness starts it first and writes it one line for each process and folder to be cleaned up, over a pipe whose
writing end no other process holds. The pipe's end is the signal: the harness closed it, or was killed
and the kernel did. The janitor lives in a session of its own and ignores INT, TERM and HUP.

    register a folder ──▶ start what fills it ──▶ register the process ──▶ ... ──▶ EOF ──▶ sweep

A janitor that ends is replaced by one that gets all lines again; a run without a janitor does not go on.

Order of a sweep: commands that undo what is no process (containers) are started; a postmaster gets SIGQUIT, with
which it removes its backends itself (they call setsid, so killing its group would miss them); everything else gets
SIGKILL with its tree; then whatever carries the run's id in its environment; the folders last, and with a folder the
shared memory of a Postgres that was killed in it: a segment outlives every process, and only the lock file in the
data folder names it.

This file is run as a script, so it must not import anything of ours.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

RUN_VARIABLE = "BROKENPIPE_RUN"  # every process of a run carries it; its value is the run's own
SWEEP_TIMEOUT_S = 4.0  # the promise is that nothing outlives the harness by more than 5 s
_IPC_RMID = 0  # <sys/ipc.h>, on Linux and macOS alike
POSTGRES_GRACE_S = 2.5  # for Postgres to end its backends after SIGQUIT; measured: under 1 s


class Janitor(Protocol):
    """Registry of everything that must be cleaned up after a run. `run_id` marks the run's processes."""

    run_id: str

    @property
    def pid(self) -> int:
        """The pid of the janitor's process; 0: it has none."""

    def register_process(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        """End this process by that signal when the harness is gone."""

    def register_folder(self, path: Path) -> None:
        """Remove this folder when the harness is gone."""

    def register_command(self, argv: Sequence[str]) -> None:
        """Run this program when the harness is gone. It cleans up what is no process: containers."""

    def check(self) -> None:
        """Raises StackError if the janitor has ended for good: the run must not go on without one."""


class NoJanitor:
    """A janitor that does nothing, for a caller that relies on context managers alone, such as a test."""

    run_id = "none"
    pid = 0

    def register_process(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        pass

    def register_folder(self, path: Path) -> None:
        pass

    def register_command(self, argv: Sequence[str]) -> None:
        pass

    def check(self) -> None:
        pass


# --- the process ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegisteredProcess:
    """A process to be ended. `born` tells it from a later one with the same pid."""

    pid: int
    born: float
    signal: int

    def find(self) -> psutil.Process | None:
        """The process, unless it is gone and its number belongs to another by now."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.born) < 0.01 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


@dataclass(slots=True)
class _CleanupTasks:
    run_id: str = ""
    processes: list[RegisteredProcess] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                task = json.loads(line)
            except ValueError:  # the harness died in the middle of this line
                continue
            if "run_id" in task:
                self.run_id = task["run_id"]
            elif "folder" in task:
                self.folders.append(Path(task["folder"]))
            elif "command" in task:
                self.commands.append(task["command"])
            else:
                # A soak restarts servers for days: processes that have ended need no cleanup.
                self.processes = [each for each in self.processes if each.find()]
                self.processes.append(RegisteredProcess(task["pid"], task["born"], task["signal"]))


def _tree(root: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [root, *root.children(recursive=True)]
    return []


def _processes_of_run(run_id: str) -> Iterator[psutil.Process]:
    """Processes whose environment carries the run's id, whatever their parent is by now."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run_id:
                yield process


def _request_end(process: psutil.Process, number: int) -> None:
    """Send a signal that the process handles. A stopped process handles none, so all of its tree are resumed."""
    process.send_signal(number)
    for each in _tree(process):
        each.resume()


def _sweep_processes(tasks: _CleanupTasks) -> None:
    gentle = [each for each in tasks.processes if each.signal != signal.SIGKILL]
    for each in gentle:
        with suppress(psutil.Error):
            if process := each.find():
                _request_end(process, each.signal)
    started, seen_nothing = time.monotonic(), False
    while time.monotonic() - started < SWEEP_TIMEOUT_S:
        ending = {p.pid for each in gentle if (root := each.find()) for p in _tree(root)}
        if time.monotonic() - started > POSTGRES_GRACE_S:
            ending = set()
        left = [p for each in tasks.processes if (root := each.find()) for p in _tree(root)]
        left += list(_processes_of_run(tasks.run_id))
        # Asked twice: what the harness was just starting when it died carries the id a moment later.
        if not left and seen_nothing:
            return
        seen_nothing = not left
        for process in left:
            if process.pid not in ending:
                with suppress(psutil.Error):
                    process.kill()
        time.sleep(0.03)


@contextmanager
def _running_commands(commands: list[list[str]]) -> Iterator[None]:
    """Programs that clean up what is no process run beside the block."""
    running = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) for argv in commands]
    yield
    for each in running:
        with suppress(subprocess.TimeoutExpired):
            each.wait(SWEEP_TIMEOUT_S)


def _processes_using(folder: Path) -> Iterator[psutil.Process]:
    """A backend of Postgres hides its environment, and has no parent of ours any more once its postmaster is gone."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(folder):
                yield process


def remove(folder: Path) -> None:
    """Remove a folder with what still works in it, and the shared memory of a Postgres that was killed there."""
    for process in _processes_using(folder.resolve()):
        with suppress(psutil.Error):
            process.kill()
    for lock in folder.glob("*/postmaster.pid"):
        with suppress(OSError, ValueError, IndexError):
            # Its seventh line is the key and the id of the segment.
            segment = int(lock.read_text().splitlines()[6].split()[1])
            ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)  # one that is gone already is no matter
    shutil.rmtree(folder, ignore_errors=True)


def _main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    tasks = _CleanupTasks()
    tasks.read(sys.stdin)
    with _running_commands(tasks.commands):
        _sweep_processes(tasks)
    for folder in tasks.folders:
        remove(folder)


if __name__ == "__main__":
    _main()
