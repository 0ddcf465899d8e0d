"""The state that all users of one Locust process share: gates, requests in flight, counts, request log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from brokenpipe.load.config import LoadConfig
from brokenpipe.load.messages import Count, LoadEvent, Notice, Progress
from brokenpipe.load.pacing.gate import Gate
from brokenpipe.load.pacing.open_load import OpenLoadScheduler
from brokenpipe.load.request_log import LoggedRequest, RequestFailure, RequestLog
from brokenpipe.load.shards import SINGLE
from brokenpipe.load.used_ids import UsedIds

NOTICE_CAP = 20  # different notices; a locustfile with a defect would cause thousands


class RequestInFlight(LoggedRequest, Protocol):
    """A request between its start and its end. `answered`: the target will send nothing more."""

    start_logged: bool
    answered: bool

    @property
    def tracking_key(self) -> str: ...

    def accept_verdict(self, meta: dict[str, Any]) -> bool:
        """Take Locust's verdict. True: the verdict is final. False: it waits for the end of the body."""

    def finish_without_verdict(self) -> None:
        """End a request whose user went on without a verdict."""


class ArmCounts:
    """Requests of one arm since the start of the run. A request that was never sent is not in them."""

    __slots__ = ("ended", "failed", "started")

    def __init__(self) -> None:
        self.started = self.ended = self.failed = 0


class LoadState:
    """Requests in flight and counts of each arm, in this Locust process. Writes starts and ends to the request log.

    `publish` passes an outcome to Locust's statistics. `outbox` holds messages for the harness, which `ControlClient`
    sends. `shard` is the part of the users that this process has.
    """

    def __init__(
        self, config: LoadConfig, log: RequestLog, publish: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self.config = config
        self.gates = {arm: Gate() for arm in config.arms}
        rate = config.arrivals_per_s
        self.open_load = OpenLoadScheduler(rate, config.seed, config.arms, log) if rate else None
        self.shard = SINGLE
        self.ending = False
        self.log = log
        self.publish = publish
        self.counts_of = {arm: ArmCounts() for arm in config.arms}
        self.tracked_requests: dict[str, RequestInFlight] = {}
        self.used_ids = UsedIds()  # that the locustfile has set itself, each behind the name of its arm
        self.users_started = 0
        self.outbox: deque[LoadEvent] = deque()
        self._notices: set[Notice] = set()

    def track(self, request: RequestInFlight) -> None:
        """Count the request as in flight, until its end is known."""
        self.counts_of[request.arm].started += 1
        self.tracked_requests[request.tracking_key] = request

    @property
    def in_flight(self) -> int:
        """Requests to which the target may still send something. Counted when asked for: users of a closing wait."""
        return sum(not request.answered for request in self.tracked_requests.values())

    def log_start(self, request: RequestInFlight) -> None:
        """Write the start of a request: its end may never come, or this process be killed before it."""
        if not request.start_logged:
            request.start_logged = True
            self.log.start(request)

    def record_end(
        self, request: LoggedRequest, ms: float, status: int, failure: RequestFailure | None
    ) -> None:
        """Count the end of a request and write it to the log. `failure` is None for a success."""
        counts = self.counts_of[request.arm]
        if failure is not None and not failure.sent:
            counts.started -= 1
            self.log.failed_end(request, ms, status, failure)
            return
        counts.ended += 1
        if failure is None:
            self.log.end(request, ms, status)
        else:
            counts.failed += 1
            self.log.failed_end(request, ms, status, failure)

    def flush(self) -> None:
        """Hand the log to the kernel, with the start of every request in flight. Raises OSError."""
        for request in self.tracked_requests.values():
            if not request.start_logged:
                self.log_start(request)
        self.log.flush()

    def open(self, arms: Sequence[str] | None, arrival_seed_index: int, began_ns: int | None = None) -> None:
        """Open the gates of these arms; None: of all. An open load counts from `began_ns`; None: from now.

        `arrival_seed_index` selects the arrivals of an open load: the same index gives the same arrivals.
        """
        opened = tuple(self.gates) if arms is None else tuple(arms)
        for arm in opened:
            self.gates[arm].open()
        if self.open_load and not self.ending:
            self.open_load.open(opened, arrival_seed_index, self.shard, began_ns)

    def close(self) -> None:
        """Close all gates: no request starts from now on."""
        for gate in self.gates.values():
            gate.close()
        if self.open_load:
            self.open_load.close()

    def shut_down(self) -> None:
        """Close permanently: every user that waits at a gate or reaches one exits."""
        self.ending = True
        for gate in self.gates.values():
            gate.shut_down()
        if self.open_load:
            self.open_load.shut_down()

    def add_notice(self, notice: Notice) -> None:
        """Queue a notice for the harness, once for each different text."""
        if notice in self._notices or len(self._notices) > NOTICE_CAP:
            return
        self._notices.add(notice)
        if len(self._notices) > NOTICE_CAP:
            notice = Notice("notices_capped", f"more than {NOTICE_CAP} different notices: see the log")
        self.outbox.append(notice)

    def progress(self) -> Progress:
        """Counts of every arm so far, for the harness."""
        return Progress({arm: Count(c.started, c.ended, c.failed) for arm, c in self.counts_of.items()})

    def finish_answered(self) -> None:
        """End every request that has its whole answer but no verdict. The end of the run cut off the others."""
        for request in list(self.tracked_requests.values()):
            if request.answered:
                request.finish_without_verdict()
