"""How late the event loop of the service runs what is due: the time for which nothing else in it could run.

    a timer every 50 ms ──▶ it ran 800 ms late ──▶ the loop stood still for 800 ms, and all that waited in it as well

A long one is written down when it is over, one by one; of the others the longest, once a second, so that a loop that
never stood still can be told from one that nobody watched. Requests in worker threads go on meanwhile.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, get_running_loop

from brokenpipe_witness import gauge
from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.tape import now, write

EVERY_S = 0.05  # a standstill began up to so long before its timer was due; each run wakes the process
LONG_NS = 50_000_000  # shorter ones are what garbage collection and a busy machine make
TELL_NS = 1_000_000_000

_watched: AbstractEventLoop | None = None


@quietly
def watch() -> None:
    """Watch the loop that this is called in, from its first request on."""
    global _watched  # noqa: PLW0603 (a server has one loop in each process)
    loop = get_running_loop()
    if loop is not _watched:
        _watched = loop
        _Timer(loop)
        gauge.start()  # requests are summed up in a service without a pool, too


class _Timer:
    """It asks to be run again and again, and looks how late that was."""

    __slots__ = ("_due_ns", "_longest_ns", "_loop", "_pid", "_told_ns")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._pid = os.getpid()
        self._longest_ns = 0
        self._told_ns = now()
        self._again(self._told_ns)

    def _again(self, t: int) -> None:
        self._due_ns = t + int(EVERY_S * 1e9)
        self._loop.call_later(EVERY_S, self._run)

    @quietly
    def _run(self) -> None:
        t = now()
        late_ns = max(0, t - self._due_ns)
        self._longest_ns = max(self._longest_ns, late_ns)
        self._again(t)
        if late_ns >= LONG_NS or t - self._told_ns >= TELL_NS:
            write({"k": "loop", "t": t, "pid": self._pid, "ms": round(self._longest_ns / 1e6, 1)})
            self._longest_ns, self._told_ns = 0, t
