"""The lag of the service's event loop: how late its timers run, and so for how long nothing else in it could.

    a timer every 50 ms ──▶ it ran 800 ms late ──▶ the loop stood still for 800 ms, and all its tasks with it

Each long standstill is written when it ends; of the others the longest, once a second, so that a loop that never stood
still differs from one that was not monitored. Requests in worker threads go on meanwhile.
"""

from __future__ import annotations

import os
import weakref
from asyncio import AbstractEventLoop, get_running_loop

from brokenpipe_witness import pool_sampler
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.safe_call import never_raises

EVERY_S = 0.05  # a standstill may have begun that long before its timer was due; each run wakes the process
LONG_NS = 50_000_000  # shorter ones are what garbage collection and a busy machine make
WRITE_EVERY_NS = 1_000_000_000
PUNCTUAL_NS = 2_000_000  # a loop waits in whole milliseconds: later than this, something else ran in it

_latest: AbstractEventLoop | None = None
_timers: weakref.WeakKeyDictionary[AbstractEventLoop, _Timer] = weakref.WeakKeyDictionary()
_timer: _Timer | None = None  # of the latest loop


def monitor() -> None:
    """Monitor the running loop, from its first request on; a loop of trio is not asyncio's, and is not monitored."""
    try:
        loop = get_running_loop()
    except RuntimeError:
        pool_sampler.start_thread()
    else:
        if loop is not _latest:  # nearly always it is: a server has one loop in each process
            _begin(loop)


@never_raises
def _begin(loop: AbstractEventLoop) -> None:
    global _latest, _timer  # noqa: PLW0603 (one for the process)
    _latest = loop
    if loop not in _timers:
        _timers[loop] = _Timer(loop, _timer)
        pool_sampler.start_thread()  # requests are summed up in a service without a pool, too
    _timer = _timers[loop]


def lateness_ns(t: int) -> int | None:
    """All that the loop of this process has been late until `t`; None: there is none, or it is not monitored yet.

    Of two times, the difference is for how much of the time between them the loop is known to have been late. It is a
    lower bound: a standstill that ends before a timer was due is not seen.
    """
    timer = _timer
    if timer is None:
        return None
    overdue = t - timer.due_ns - PUNCTUAL_NS  # asked several times a request, so in one call
    return timer.late_ns + overdue if overdue > 0 else timer.late_ns


class _Timer:
    """A timer that reschedules itself and measures how late it runs."""

    __slots__ = ("_longest_ns", "_loop", "_pid", "_written_ns", "due_ns", "late_ns")

    def __init__(self, loop: AbstractEventLoop, before: _Timer | None) -> None:
        self._loop = weakref.ref(loop)
        self.late_ns: int = before.late_ns if before else 0  # in all: it only grows
        self._pid = os.getpid()
        self._longest_ns = 0
        self._written_ns = now()
        self._schedule(self._written_ns)

    def _schedule(self, t: int) -> None:
        self.due_ns = t + int(EVERY_S * 1e9)
        loop = self._loop()
        if loop is not None:
            loop.call_later(EVERY_S, self._measure)

    @never_raises
    def _measure(self) -> None:
        t = now()
        late_ns = max(0, t - self.due_ns)
        self._longest_ns = max(self._longest_ns, late_ns)
        self.late_ns += max(0, late_ns - PUNCTUAL_NS)
        self._schedule(t)
        if late_ns >= LONG_NS or t - self._written_ns >= WRITE_EVERY_NS:
            write({"k": "loop", "t": t, "pid": self._pid, "ms": round(self._longest_ns / 1e6, 1)})
            self._longest_ns, self._written_ns = 0, t
