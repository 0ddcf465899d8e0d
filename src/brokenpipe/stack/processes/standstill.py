"""While a stack starts, a process that was stopped from outside is killed, so that the start does not hang.

The call that waits for it then fails, and the error names the process. During a run `drive/watch/watch.py` reports
such processes instead, and kills none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from brokenpipe.errors import StackError

MAX_STOPPED_S = 8.0  # longer than the self-test of a fault that pauses a server
CHECK_INTERVAL_S = 0.5


@dataclass(slots=True)
class _StandstillGuard:
    """Looks at all that this process has started, and kills what has been stopped for too long."""

    patience_s: float
    ended: list[str] = field(default_factory=list)
    _since: dict[psutil.Process, float] = field(default_factory=dict)

    def look(self) -> None:
        now = time.monotonic()
        # Children of a process that was killed are no descendants any more, and still stopped: they stay known.
        candidates = {*psutil.Process().children(recursive=True), *self._since}
        self._since = {
            process: self._since.get(process, now) for process in candidates if _is_stopped(process)
        }
        for process, since in self._since.items():
            if now - since >= self.patience_s:
                self._end(process)

    def _end(self, process: psutil.Process) -> None:
        with suppress(psutil.Error):
            name = " ".join(process.cmdline())[:80].strip()
            process.kill()
            self.ended.append(f"process {process.pid} ({name})")

    def run(self, done: threading.Event) -> None:
        while not done.wait(CHECK_INTERVAL_S):
            with suppress(psutil.Error):
                self.look()


def _is_stopped(process: psutil.Process) -> bool:
    """Whether a signal has stopped it. A process under a debugger is left alone."""
    with suppress(psutil.Error):
        return bool(process.status() == psutil.STATUS_STOPPED)
    return False


@contextmanager
def ending_stopped_processes(patience_s: float = MAX_STOPPED_S) -> Iterator[None]:
    """For as long as the block lasts. Raises StackError if something failed after a process had to be ended."""
    guard, done = _StandstillGuard(patience_s), threading.Event()
    thread = threading.Thread(target=guard.run, args=(done,), name="guard", daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        if not guard.ended:
            raise
        raise StackError(
            f"{guard.ended[0]} stood still for {patience_s:g} s while the run started, and was ended",
            remedy="Something stopped it (SIGSTOP, Ctrl-Z): leave the processes of a run alone, and run again.",
            details=(f"what came of it: {error}",),
        ) from error
    finally:
        done.set()
        thread.join()
