"""Times in which a service had no connection left in any pool, because a fault had ended the last one.

    the last connection is closed, ended by a fault ──▶ nothing ──▶ the next one is opened, or never

A request that gives up waiting in such a time waited for what the fault had taken, whatever kept the pool from
opening another: a pool that was opened before its process forked, for example, has nobody who would.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.connection_faults import ConnectionEnd

_EVENTS = """
SELECT witness_arm, t, port, true AS opened FROM connects WHERE port IS NOT NULL
UNION ALL SELECT witness_arm, t, port, false FROM closes WHERE port IS NOT NULL
ORDER BY t
"""


@dataclass(frozen=True, slots=True)
class EmptyPeriod:
    """A time without any connection. `until`: when the next was opened; None: never. `end`: what ended the last one."""

    since: int
    until: int | None
    end: ConnectionEnd


@dataclass(frozen=True, slots=True)
class EmptyPeriods:
    """The times of each arm, in order."""

    by_arm: Mapping[str, Sequence[EmptyPeriod]]

    def at(self, arm: str, t: int) -> EmptyPeriod | None:
        """The period in which `t` lies."""
        periods = self.by_arm.get(arm, ())
        count = bisect_left(periods, t, key=lambda period: period.since)
        last = periods[count - 1] if count else None
        return last if last is not None and (last.until is None or t <= last.until) else None


def empty_periods(
    history: History, ended_by: Callable[[str, int, int], ConnectionEnd | None]
) -> EmptyPeriods:
    """Read them. `ended_by` says by arm, port and time what had ended a connection."""
    opened: dict[str, set[int]] = defaultdict(set)
    emptied: dict[str, tuple[int, ConnectionEnd]] = {}
    found: dict[str, list[EmptyPeriod]] = defaultdict(list)
    for arm, t, port, is_opened in history.stream(_EVENTS):
        if is_opened:
            opened[arm].add(port)
            if arm in emptied:
                since, last_end = emptied.pop(arm)
                found[arm].append(EmptyPeriod(since, t, last_end))
        elif port in opened[arm]:
            opened[arm].remove(port)
            if not opened[arm] and (end := ended_by(arm, port, t)):
                emptied[arm] = t, end
    for arm, (since, last_end) in emptied.items():
        found[arm].append(EmptyPeriod(since, None, last_end))
    return EmptyPeriods(found)
