"""The harness's side of the janitor: registers what must be cleaned up, watches the process and replaces it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from brokenpipe.errors import StackError
from brokenpipe.shortages import ignoring_lack_of_files
from brokenpipe.stack.processes.janitor import SWEEP_TIMEOUT_S, Janitor, RegisteredProcess

SCRIPT = Path(__file__).with_name("janitor.py")
CHECK_INTERVAL_S = 0.5  # whether it is still there
MIN_LIFE_S = 5.0
MAX_DEATHS = 3  # after short lives, until it is given up


class WatchedJanitor:
    """A janitor's process with all lines that were written to it, for a process that replaces it. Safe for threads."""

    def __init__(self, run_id: str, on_replaced: Callable[[str], None]) -> None:
        self.run_id = run_id
        self._on_replaced = on_replaced
        self._lock = threading.Lock()
        self._failure: Exception | None = None
        self._lines = [_line(run_id=run_id)]
        self._began = time.monotonic()
        self._deaths = 0  # each soon after the one before
        self._process = _start_process(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def register_process(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        """End this process by `signal_number` when the harness is gone."""
        with suppress(psutil.NoSuchProcess):  # already gone: nothing to undo
            self._register(pid=pid, born=psutil.Process(pid).create_time(), signal=int(signal_number))

    def register_folder(self, path: Path) -> None:
        """Remove this folder when the harness is gone."""
        self._register(folder=str(path))

    def register_command(self, argv: Sequence[str]) -> None:
        """Run this program when the harness is gone. It cleans up what is no process: containers."""
        self._register(command=list(argv))

    def check(self) -> None:
        """Raises StackError if there is no janitor any more."""
        if self._failure is not None:
            raise StackError(
                "the janitor of this run ended and cannot be replaced: nothing would clean up after it",
                remedy="Run again, and find out what ends processes here.",
            ) from self._failure

    def watch(self, done: threading.Event) -> None:
        """Replace it whenever it is gone, until `over`."""
        while not done.wait(CHECK_INTERVAL_S):
            with self._lock, ignoring_lack_of_files():
                self._replace_if_gone()

    def end(self) -> None:
        """Close the pipe, which is the signal to sweep, and wait until that is done."""
        with self._lock:
            self._replace_if_gone()
            process = self._process
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=SWEEP_TIMEOUT_S + 1)

    def _register(self, **task: object) -> None:
        line = _line(**task)
        with self._lock:
            self._lines = [*filter(_is_needed, self._lines), line]
            try:
                _write(self._process, [line])
            except BrokenPipeError:
                self._replace_if_gone(broken=True)
        self.check()

    def _replace_if_gone(self, *, broken: bool = False) -> None:
        """Replace a janitor that has ended, or is stopped and cleans up nothing, by one that gets all lines again."""
        if self._failure is not None:
            return
        ended, stopped = self._process.poll() is not None, _is_stopped(self._process.pid)
        if not (ended or stopped or broken):
            return
        _kill(self._process)
        now = time.monotonic()
        self._deaths = self._deaths + 1 if now - self._began < MIN_LIFE_S else 0
        self._began = now
        if self._deaths >= MAX_DEATHS:
            self._failure = OSError(f"{MAX_DEATHS} of them ended within {MIN_LIFE_S:g} s each")
            return
        try:
            self._process = _start_process(self._lines)
            state = "stood still" if stopped else "ended"
            self._on_replaced(
                f"the janitor of this run {state}; another, which knows all that it knew, has taken its place"
            )
        except Exception as error:  # noqa: BLE001  # a thread has no caller that could handle it
            self._failure = error


@contextmanager
def janitor(run_id: str, on_replaced: Callable[[str], None] = lambda _: None) -> Iterator[Janitor]:
    """The janitor of one run, for as long as the block lasts; its sweep is awaited at the end.

    A janitor that ends, or is stopped, is replaced, and `on_replaced` is called with a sentence about it, in
    a thread of its own.
    """
    watched, done = WatchedJanitor(run_id, on_replaced), threading.Event()
    watcher = threading.Thread(target=watched.watch, args=(done,), name="watch of the janitor", daemon=True)
    watcher.start()
    try:
        yield watched
    finally:
        done.set()
        watcher.join()
        watched.end()


def _start_process(lines: Sequence[str]) -> subprocess.Popen[str]:
    """A janitor's process to which all lines were written. After an OSError there is none."""
    process = subprocess.Popen(
        [sys.executable, "-I", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
        env={"PATH": os.environ.get("PATH", os.defpath)},  # without the id: it must not sweep itself
    )
    try:
        _write(process, lines)
    except OSError:
        _kill(process)
        raise
    return process


def _write(process: subprocess.Popen[str], lines: Iterable[str]) -> None:
    assert process.stdin is not None
    process.stdin.writelines(lines)
    process.stdin.flush()


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a janitor before its pipe closes, so that it cleans up nothing."""
    process.kill()
    process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


def _line(**task: object) -> str:
    return json.dumps(task) + "\n"


def _is_needed(line: str) -> bool:
    """Whether a replacement needs this line: not if it names a process that has ended."""
    task = json.loads(line)
    if "pid" not in task:
        return True
    return RegisteredProcess(task["pid"], task["born"], task["signal"]).find() is not None


def _is_stopped(pid: int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    return False
