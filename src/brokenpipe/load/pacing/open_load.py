"""The scheduler of an open load: requests arrive at a rate, whether or not those before them have been answered.

    clock ──▶ arrival, due now ──▶ a free user of each arm ──▶ the service
                                └▶ no user is free: it waits, and its latency has begun already

Users of a closed loop wait for a response before they send again, so a service that stalls gets fewer requests, and the
stall hardly shows in its percentiles (coordinated omission). Here arrivals are a Poisson process, users only send
them, and the latency of each counts from the moment it was due.

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
from brokenpipe.load.request_log import RequestLog
from brokenpipe.load.shards import SINGLE, Shard

# A request that starts within this of its due time needs no record: the event loop itself takes part of it.
ON_TIME_NS = 1_000_000


class ArrivalQueue:
    """One arm's arrivals that wait for a user, and its users that wait for an arrival.

    The user that came last is served first: so a few keep their connections warm and the others are a reserve.
    """

    def __init__(self, return_arrival: Callable[[int], None]) -> None:
        self.waiting: deque[int] = deque()
        self._return_arrival = return_arrival
        self._idle_users: list[AsyncResult] = []

    def add(self, due_ns: int) -> None:
        """Wake a waiting user, or let the arrival wait for one. `due_ns`: monotonic nanoseconds."""
        if self._idle_users:
            self._idle_users.pop().set(due_ns)
        else:
            self.waiting.append(due_ns)

    def wait_for_arrival(self) -> int:
        """Wait for an arrival. Returns when it was due. Raises StopUser when the run is over."""
        if self.waiting:
            return self.waiting.popleft()
        arrival = AsyncResult()
        self._idle_users.append(arrival)
        try:
            return int(arrival.get())
        except BaseException:  # killed by the end of the run
            if arrival in self._idle_users:
                self._idle_users.remove(arrival)
            elif arrival.successful():  # the user was killed after it got one and before it ran
                self._return_arrival(int(arrival.value))
            raise

    def shut_down(self) -> None:
        """Make all waiting users exit."""
        free, self._idle_users = self._idle_users, []
        for user in free:
            user.set_exception(StopUser())


class OpenLoadScheduler:
    """A scheduler that gives every open arm the same arrivals, and logs which of them began late or never."""

    def __init__(self, per_s: float, seed: int, arms: Mapping[str, object], log: RequestLog) -> None:
        self._per_s = per_s
        self._seed = seed
        self._log = log
        self._queues = {arm: ArrivalQueue(partial(self._return_arrival, arm)) for arm in arms}
        self._open_arms: Sequence[str] = ()
        self._due_times_ns: Iterator[int] = iter(())
        self._next_ns = 0
        self._greenlet: gevent.Greenlet | None = None

    def open(
        self, arms: Sequence[str], arrival_seed_index: int, shard: Shard = SINGLE, began_ns: int | None = None
    ) -> None:
        """Start arrivals at these arms. The same `arrival_seed_index` gives the same arrivals.

        Of three workers, each takes every third arrival.
        """
        if self._greenlet is not None:
            return
        began_ns = time.monotonic_ns() if began_ns is None else began_ns
        self._open_arms = arms
        due = islice(due_times(self._seed, arrival_seed_index, self._per_s), shard.number, None, shard.of)
        self._due_times_ns = (began_ns + int(at_s * 1e9) for at_s in due)
        self._next_ns = next(self._due_times_ns)
        self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        """Stop arrivals. Those that were due and have not begun are missed."""
        if self._greenlet is None:
            return
        self._greenlet.kill(block=False)
        self._greenlet = None
        now_ns = time.monotonic_ns()
        while self._next_ns <= now_ns:  # the event loop itself was late
            self._add_arrival()
        for arm, queue in self._queues.items():
            while queue.waiting:
                self.record_missed(arm, queue.waiting.popleft())

    def shut_down(self) -> None:
        """Stop arrivals and make all waiting users exit."""
        self.close()
        for queue in self._queues.values():
            queue.shut_down()

    def wait_for_arrival(self, arm: str) -> int:
        """Wait for an arrival at this arm. Returns when it was due. Raises StopUser when the run is over."""
        return self._queues[arm].wait_for_arrival()

    def _return_arrival(self, arm: str, due_ns: int) -> None:
        """Give the arrival of a killed user to another one, or count it as missed if arrivals have stopped."""
        if self._greenlet is None:
            self.record_missed(arm, due_ns)
        else:
            self._queues[arm].add(due_ns)

    def record_missed(self, arm: str, due_ns: int) -> None:
        """Log an arrival that never began."""
        self._log.missed(due_ns, arm)

    def record_late_start(self, arm: str, request_id: str, due_ns: int, start_ns: int) -> None:
        """Log by how much an arrival began late, if it did."""
        if start_ns - due_ns > ON_TIME_NS:
            self._log.late(due_ns, arm, request_id, (start_ns - due_ns) / 1e6)

    def _run(self) -> None:
        while True:
            gevent.sleep(max(0.0, (self._next_ns - time.monotonic_ns()) / 1e9))
            while self._next_ns <= time.monotonic_ns():
                self._add_arrival()

    def _add_arrival(self) -> None:
        """Add the next arrival to every open arm. Arms take turns in being first, or the last would always be late."""
        for arm in self._open_arms:
            self._queues[arm].add(self._next_ns)
        self._open_arms = (*self._open_arms[1:], *self._open_arms[:1])
        self._next_ns = next(self._due_times_ns)
