"""Outages and recoveries of an arm: how long it answered no request, and how soon after a strike it answered again.

    success        ✓   ✓  ✓            ✓ ✓  ✓
    strike                 ↯
    outage                   ├─────────┤      two failures or more and no success between them, or a wait that is long
    recovery               ├───────────┤      to the first success after which there is no outage until the next strike

A single failure among successes is no outage: behind a strike a service may meet one dead connection after another and
serve others meanwhile. Without an outage an arm has recovered with its first success. A wait is long from a second on,
and from three times the arm's own median, so that a service that is always slow is not always out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LONG_WAIT_MS = 1000.0
LONG_WAIT_MEDIANS = 3.0
OUTAGE_FAILURES = 2  # in a row, by their ends
NEVER = math.inf  # seconds to a recovery that did not come


class RequestSpan(NamedTuple):
    """One request: when it began and ended, in monotonic nanoseconds, and whether it succeeded."""

    t: int
    end: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """`begins`: when requests waited and the last one had been answered. `over`: whether a success ended it."""

    begins: int
    ends: int
    over: bool

    def overlaps(self, since: int, until: int | None) -> bool:
        """Whether it lasted beyond the one moment and began before the other."""
        return self.ends > since and (until is None or self.begins < until)


@dataclass(frozen=True, slots=True)
class AnswerTimeline:
    """Requests of an arm in one stretch of a phase, in order of their ends, and the outages between them.

    Of successes that follow one another closely only the first and the last need be there.
    """

    requests: Sequence[RequestSpan]
    waiting_since: Sequence[int]  # of each: the earliest begin among those that end with it or later
    outages: Sequence[Outage]

    @property
    def unavailable_ns(self) -> int:
        """Of all outages together; of one that was not over, until the last that is known of it."""
        return sum(outage.ends - outage.begins for outage in self.outages)

    def recovery_s(self, strike: int, until: int | None, *, over: bool = True) -> float | None:
        """Seconds from a strike, or from the first request after it, to the recovery.

        `until`: the next strike. `over`: whether the fault has ended. None: not known, because no request followed, or
        the fault lasted until the last request.
        """
        first = bisect_left(self.requests, strike, key=_end)
        if first == len(self.requests):
            return None
        since = max(strike, self.waiting_since[first])
        if until is not None and since >= until:
            return None
        last = next((each for each in reversed(self.outages) if each.overlaps(strike, until)), None)
        if last is not None and not last.over:
            return NEVER if over else None
        ends = (each.end for each in self.requests[first:] if each.ok)
        end = last.ends if last is not None else next(ends, None)
        return None if end is None else (end - since) / 1e9


def _end(request: RequestSpan) -> int:
    return request.end


def build_answer_timeline(requests: Sequence[RequestSpan], long_ns: int) -> AnswerTimeline:
    """Find the outages in these requests of one arm, given in order of their ends."""
    since = _waiting_since(requests)
    return AnswerTimeline(requests, since, tuple(_outages(requests, since, long_ns)))


def _waiting_since(requests: Sequence[RequestSpan]) -> list[int]:
    found, earliest = [], requests[-1].t if requests else 0
    for request in reversed(requests):
        earliest = min(earliest, request.t)
        found.append(earliest)
    return found[::-1]


def _outages(requests: Sequence[RequestSpan], since: Sequence[int], long_ns: int) -> Iterator[Outage]:
    """Between two successes each; the last may lack the second one."""
    answered, first = 0, 0  # when the last success ended, and what came next
    for n, request in enumerate(requests):
        last = n == len(requests) - 1
        if not request.ok and not last:
            continue
        begins, failures = max(answered, since[first]), n - first + (not request.ok)
        if failures >= OUTAGE_FAILURES or request.end - begins > long_ns:
            yield Outage(begins, request.end, over=request.ok)
        answered, first = request.end, n + 1
