"""What all users of the process share: the gate, the requests under way, the counts and the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from brokenpipe.load.config import LoadConfig
from brokenpipe.load.messages import Count, News, Notice, Progress
from brokenpipe.load.pacing.gate import Gate
from brokenpipe.load.pacing.open_load import Arrivals
from brokenpipe.load.requests.request_log import Request, RequestLog
from brokenpipe.load.users.shards import ALONE

if TYPE_CHECKING:
    from brokenpipe.load.requests.failures import Failure
    from brokenpipe.load.requests.tracked_request import Flight

NOTICE_CAP = 20  # different ones; a locustfile with a defect would say the same thing a thousand times


class Tally:
    """Requests of one arm since the beginning."""

    __slots__ = ("ended", "failed", "started")

    def __init__(self) -> None:
        self.started = self.ended = self.failed = 0


class Tower:
    """Knows every request that is under way, and writes down how each one starts and ends.

    `publish` hands an outcome to Locust. `outbox` holds what the harness is to be told; steering sends it. `seat` is
    this process's place among the workers.
    """

    def __init__(
        self, config: LoadConfig, log: RequestLog, publish: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self.config = config
        self.gates = {arm: Gate() for arm in config.arms}
        rate = config.arrivals_per_s
        self.arrivals = Arrivals(rate, config.seed, config.arms, log) if rate else None
        self.seat = ALONE
        self.ending = False
        self.log = log
        self.publish = publish
        self.tallies = {arm: Tally() for arm in config.arms}
        self.in_flight = 0
        self.flights: dict[str, Flight] = {}
        self.given_ids: dict[str, set[str]] = {arm: set() for arm in config.arms}  # by the locustfile
        self.users_begun = 0
        self.outbox: deque[News] = deque()
        self._noticed: set[Notice] = set()

    def started(self, flight: Flight) -> None:
        """Count it as under way, until its end is known."""
        self.tallies[flight.arm].started += 1
        self.flights[flight.mark] = flight
        self.in_flight += 1

    def note_start(self, flight: Flight) -> None:
        """Write its start: its end may never come, or come after a kill of this process."""
        if not flight.begun:
            flight.begun = True
            self.log.start(flight)

    def ended(self, request: Request, ms: float, status: int, failure: Failure | None) -> None:
        """Count and write down how it ended. None: it succeeded."""
        tally = self.tallies[request.arm]
        if failure is not None and not failure.sent:
            tally.started -= 1
            self.log.failed_end(request, ms, status, failure.kind, failure.text)
            return
        tally.ended += 1
        if failure is None:
            self.log.end(request, ms, status)
        else:
            tally.failed += 1
            self.log.failed_end(request, ms, status, failure.kind, failure.text)

    def flush(self) -> None:
        """Everything reaches the kernel, with the start of each request under way. Raises OSError."""
        for flight in self.flights.values():
            if not flight.begun:
                self.note_start(flight)
        self.log.flush()

    def open(self, arms: Sequence[str] | None, stretch: int, began_ns: int | None = None) -> None:
        """Let the users of these arms act, of all if it is None. An open load counts from `began_ns`; None: now."""
        opened = tuple(self.gates) if arms is None else tuple(arms)
        for arm in opened:
            self.gates[arm].open()
        if self.arrivals and not self.ending:
            self.arrivals.open(opened, stretch, self.seat, began_ns)

    def close(self) -> None:
        """Let nobody begin another request."""
        for gate in self.gates.values():
            gate.close()
        if self.arrivals:
            self.arrivals.close()

    def end(self) -> None:
        """Send home for good whoever waits or comes."""
        self.ending = True
        for gate in self.gates.values():
            gate.end()
        if self.arrivals:
            self.arrivals.end()

    def notice(self, notice: Notice) -> None:
        """Tell the harness, once for each different text."""
        if notice in self._noticed or len(self._noticed) > NOTICE_CAP:
            return
        self._noticed.add(notice)
        if len(self._noticed) > NOTICE_CAP:
            notice = Notice("notices_capped", f"more than {NOTICE_CAP} different notices: see the log")
        self.outbox.append(notice)

    def progress(self) -> Progress:
        """What each arm has done so far, for the harness."""
        return Progress({arm: Count(t.started, t.ended, t.failed) for arm, t in self.tallies.items()})

    def settle(self) -> None:
        """End what is answered although no verdict came. The rest was cut off by the end of the run."""
        for flight in list(self.flights.values()):
            if flight.answered:
                flight.abandon()
