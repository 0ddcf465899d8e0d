"""Standstills of a service's event loop, and the timers that fired late because of them.

    request   ├ statement ──────────────────────┤ time limit of 0.6 s, fired after 0.8 s
    its loop     ├── stands still for 0.8 s ──┤

A timer of the service runs in its loop. One that fires while the loop stood still, or right after, says nothing about
the network: the answer may have been in the socket for long. Known of processes whose loop the witness watched; not of
requests in worker threads, nor of servers without a loop.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.connection_faults import ConnectionEnd
from brokenpipe.measure.attribution.failed_reconnects import failed_reconnects
from brokenpipe.measure.attribution.fault_windows import FaultWindow
from brokenpipe.measure.failures.root_cause import FailedRequest
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.tables.requests import select_with_episode

EVENT_LOOP = "event loop"
LONG_MS = 50.0  # as the witness has it: shorter ones are no standstill
RIGHT_AFTER_NS = 100_000_000  # what waited in the loop runs first
ANSWER_DELAY_NS = 250_000_000  # from a failure inside the service to its client

# Limits that are timers in a service; of the last, the timer is the user's own.
TIMERS = frozenset(
    {
        ErrorClass.CLIENT_TIMEOUT,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.POOL_EXHAUSTED,
        ErrorClass.NO_CONNECTION,
        ErrorClass.DEAD_CONNECTIONS,
        ErrorClass.TIMEOUT,
    }
)


class _Standstill(NamedTuple):
    """A standstill, in monotonic nanoseconds."""

    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Standstills:
    """The standstills of every arm, by process, in order."""

    by_process: Mapping[str, Mapping[int, Sequence[_Standstill]]]

    @property
    def any_on_record(self) -> bool:
        """Whether any loop stood still. In most histories none did, which saves all further queries."""
        return any(spans for processes in self.by_process.values() for spans in processes.values())

    def standstill_s(self, failure: FailedRequest) -> float | None:
        """For how many seconds the loop stood still while this request waited, if that is why its time ran out.

        It is, if the loop stood still for half of that time or more, and the timer fired right after.
        """
        act = failure.operation
        if failure.error_class not in TIMERS or (act is not None and act.on_loop is False):
            return None
        since, until = _waiting_span(failure)
        spans = self._spans(failure.arm, act.pid if act else None, since, until)
        stood_ns = sum(min(span.ends, until) - max(span.begins, since) for span in spans)
        if not spans or 2 * stood_ns < until - since:
            return None
        within_ns = ANSWER_DELAY_NS if act is None or act.t is None else RIGHT_AFTER_NS
        if failure.error_class is not ErrorClass.TIMEOUT and spans[-1].ends < until - within_ns:
            return None
        return stood_ns / 1e9

    def _spans(self, arm: str, pid: int | None, since: int, until: int) -> Sequence[_Standstill]:
        """The standstills within a time. Of several processes, the one that served the request must be known."""
        processes = self.by_process.get(arm, {})
        if pid is None and len(processes) == 1:
            (pid,) = processes
        spans = processes.get(pid, ()) if pid is not None else ()
        first = bisect_right(spans, since, key=lambda span: span.ends)
        last = bisect_right(spans, until, key=lambda span: span.begins)
        return spans[first:last]


class _TimeLimitKey(NamedTuple):
    """One time limit of a service, by what its failures have in common."""

    arm: str
    request_name: str
    error_class: ErrorClass


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The time limits of the services, from above: a timer that fires has waited for its limit, or longer.

    Both values are in nanoseconds: of the failed operation alone, and since the request began. Which of the two the
    timer measures is not known.
    """

    shortest_operations: Mapping[_TimeLimitKey, int]
    shortest_requests: Mapping[_TimeLimitKey, int]

    def ran_out_within(self, failure: FailedRequest, delay_ns: int) -> bool:
        """Whether a delay of its operation is enough for its timer to fire, with or without a standstill."""
        timer = _timer(failure)
        since, _ = _waiting_span(failure)
        return (
            delay_ns >= self.shortest_operations[timer]
            and since - failure.begin + delay_ns >= self.shortest_requests[timer]
        )


def read_time_limits(failures: Sequence[FailedRequest]) -> TimeLimits:
    """Read the limits from the failures of an experiment."""
    operations: dict[_TimeLimitKey, int] = {}
    requests: dict[_TimeLimitKey, int] = {}
    for failure in failures:
        since, until = _waiting_span(failure)
        timer = _timer(failure)
        operations[timer] = min(operations.get(timer, until - since), until - since)
        requests[timer] = min(requests.get(timer, until - failure.begin), until - failure.begin)
    return TimeLimits(operations, requests)


def _timer(failure: FailedRequest) -> _TimeLimitKey:
    return _TimeLimitKey(failure.arm, failure.name, failure.error_class)


def _waiting_span(failure: FailedRequest) -> tuple[int, int]:
    """From when to when it waited: in the failed operation, or in the whole request if its user gave up."""
    act = failure.operation
    if act is None or failure.error_class is ErrorClass.TIMEOUT:
        return failure.begin, failure.end
    return act.began or failure.begin, act.t if act.t is not None else failure.end


# Each process that was watched, also one that never stood still: then it is known which one served a request.
_LOOPS = "SELECT witness_arm, pid, t - (ms * 1e6)::BIGINT, t, ms FROM loops WHERE pid IS NOT NULL ORDER BY t"


def read_standstills(history: History) -> Standstills:
    """Read the standstills on record."""
    found: dict[str, dict[int, list[_Standstill]]] = defaultdict(lambda: defaultdict(list))
    for arm, pid, begins, ends, ms in history.rows(_LOOPS):
        spans = found[arm][pid]
        if ms >= LONG_MS:
            spans.append(_Standstill(begins, ends))
    return Standstills(found)


_ABANDONED_CONNECTIONS = """
SELECT witness_arm, id, port, t FROM closes WHERE after = 'cancelled' AND id IS NOT NULL AND port IS NOT NULL
"""


def reconnects_after_standstill(
    history: History, called_off: Collection[tuple[str, str]]
) -> Collection[tuple[str, str]]:
    """Requests, by arm and id, that failed to connect in place of a connection that was given up in a standstill.

    `called_off`: the requests whose timers fired late in one. A driver gives up a connection whose statement is cut
    short; the next request pays for that, and under a latency may not have the time.
    """
    if not called_off:
        return ()
    given_up = {
        (arm, port, t)
        for arm, request, port, t in history.rows(_ABANDONED_CONNECTIONS)
        if (arm, request) in called_off
    }

    def ended_by(arm: str, port: int, t: int) -> ConnectionEnd | None:
        return (FaultWindow(EVENT_LOOP, None, "", None, t, t), t) if (arm, port, t) in given_up else None

    return failed_reconnects(history, ended_by).keys()


_LONGEST = f"""
SELECT witness_arm, phase, max(ms) FROM ({select_with_episode("FROM loops", "t")}) WHERE phase IS NOT NULL GROUP BY ALL
"""


def with_loop_lag(history: History, cells: Mapping[ArmPhase, ArmPhaseStats]) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the longest standstill of the service's event loop to each arm and phase, where it is known."""
    longest = {(arm, phase): ms for arm, phase, ms in history.rows(_LONGEST)}
    return {place: replace(cell, loop_lag_ms=longest.get(place)) for place, cell in cells.items()}
