"""The open model: requests arrive at a rate, whether or not those before them have been answered.

    clock ──▶ arrival, due now ──▶ a free user of each arm ──▶ the service
                                └▶ nobody is free: it waits, and its latency has begun already

Users of a closed loop wait for an answer before they ask again, so a service that stalls is asked less, and the stall
hardly shows in its percentiles (coordinated omission). Here users are only the hands that carry requests: arrivals
are a Poisson process, and each counts from the moment it was due.

Schroeder, Wierman, Harchol-Balter: Open Versus Closed: A Cautionary Tale (NSDI 2006).
"""

# mypy: disallow-untyped-calls=False
# (gevent carries no types)

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import gevent
from gevent.event import AsyncResult
from locust.exception import StopUser

from brokenpipe.load.pacing.poisson import due_times
from brokenpipe.load.requests.request_log import RequestLog
from brokenpipe.load.users.shards import ALONE, Seat

# What begins within this of its time needs no line: the event loop itself takes part of it.
ON_TIME_NS = 1_000_000


class Line:
    """One arm's arrivals that nobody has taken, and its users that have nothing to do.

    The user that came last goes first: so a few keep their connections warm and the others are a reserve.
    """

    def __init__(self, give_back: Callable[[int], None]) -> None:
        self.waiting: deque[int] = deque()
        self._give_back = give_back
        self._free: list[AsyncResult] = []

    def arrive(self, due_ns: int) -> None:
        """Wake a user who waits, or let the arrival wait for one. `due_ns`: monotonic nanoseconds."""
        if self._free:
            self._free.pop().set(due_ns)
        else:
            self.waiting.append(due_ns)

    def take(self) -> int:
        """When the arrival was due that is now this user's. Raises StopUser when the run is over."""
        if self.waiting:
            return self.waiting.popleft()
        mine = AsyncResult()
        self._free.append(mine)
        try:
            return int(mine.get())
        except BaseException:  # killed by the end of the run
            if mine in self._free:
                self._free.remove(mine)
            elif mine.successful():  # it had been given one, and was killed before its turn came
                self._give_back(int(mine.value))
            raise

    def end(self) -> None:
        """Send everybody home who waits for an arrival."""
        free, self._free = self._free, []
        for user in free:
            user.set_exception(StopUser())


class Arrivals:
    """Hands the same arrivals to every arm whose gate is open, and writes down which began late or never."""

    def __init__(self, per_s: float, seed: int, arms: Mapping[str, object], log: RequestLog) -> None:
        self._per_s = per_s
        self._seed = seed
        self._log = log
        self._lines = {arm: Line(partial(self._give_back, arm)) for arm in arms}
        self._open: Sequence[str] = ()
        self._times: Iterator[int] = iter(())
        self._next_ns = 0
        self._clock: gevent.Greenlet | None = None

    def open(
        self, arms: Sequence[str], stretch: int, seat: Seat = ALONE, began_ns: int | None = None
    ) -> None:
        """Let them arrive from now on at these arms. The same stretch has the same arrivals.

        Workers take them in turn: of three, each takes every third.
        """
        if self._clock is not None:
            return
        began_ns = time.monotonic_ns() if began_ns is None else began_ns
        self._open = arms
        due = islice(due_times(self._seed, stretch, self._per_s), seat.number, None, seat.of)
        self._times = (began_ns + int(at_s * 1e9) for at_s in due)
        self._next_ns = next(self._times)
        self._clock = gevent.spawn(self._run)

    def close(self) -> None:
        """Let no more arrive. Those that were due and not begun are missed."""
        if self._clock is None:
            return
        self._clock.kill(block=False)
        self._clock = None
        now_ns = time.monotonic_ns()
        while self._next_ns <= now_ns:  # the event loop itself was late
            self._arrive()
        for arm, line in self._lines.items():
            while line.waiting:
                self.miss(arm, line.waiting.popleft())

    def end(self) -> None:
        """Send everybody home."""
        self.close()
        for line in self._lines.values():
            line.end()

    def take(self, arm: str) -> int:
        """Wait for an arrival at this arm; when it was due. Raises StopUser when the run is over."""
        return self._lines[arm].take()

    def _give_back(self, arm: str, due_ns: int) -> None:
        """An arrival that was given to a user who is no more: another one's, as long as arrivals are open."""
        if self._clock is None:
            self.miss(arm, due_ns)
        else:
            self._lines[arm].arrive(due_ns)

    def miss(self, arm: str, due_ns: int) -> None:
        """Write down that it never began."""
        self._log.missed(due_ns, arm)

    def began(self, arm: str, request_id: str, due_ns: int, start_ns: int) -> None:
        """Write down by how much it began late, if it did."""
        if start_ns - due_ns > ON_TIME_NS:
            self._log.late(due_ns, arm, request_id, (start_ns - due_ns) / 1e6)

    def _run(self) -> None:
        while True:
            gevent.sleep(max(0.0, (self._next_ns - time.monotonic_ns()) / 1e9))
            while self._next_ns <= time.monotonic_ns():
                self._arrive()

    def _arrive(self) -> None:
        """At every arm at the same instant; each is the first in turn, or the last would always wait for a core."""
        for arm in self._open:
            self._lines[arm].arrive(self._next_ns)
        self._open = (*self._open[1:], *self._open[:1])
        self._next_ns = next(self._times)
