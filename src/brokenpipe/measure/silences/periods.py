"""Silent periods: parts of a run that stood still or gave no answer, and how much of it the plan does not explain.

seen from outside   the watch: states of processes, new connections, how late it woke itself
read from gaps      what a part writes at regular times, and did not: seen also where the watch stood still
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brokenpipe.history.reader import History
from brokenpipe.measure.time_series.charts import experiment_end

# A server that stood still answers again soon after it was healed, and what asks for a new connection asks each second.
BEFORE_NS = 1_000_000_000
AFTER_NS = 3_000_000_000


@dataclass(frozen=True, slots=True)
class SilentPeriod:
    """One silent period of a part. `begins` and `ends` are monotonic nanoseconds; not `over`: it lasted to the end."""

    part: str
    arm: str | None
    pid: int | None
    how: str  # as in the record, or "gap"
    begins: int
    ends: int
    over: bool = True

    @property
    def lasted_s(self) -> float:
        return (self.ends - self.begins) / 1e9

    def overlaps(self, since: int, until: int) -> bool:
        return self.begins <= until and since <= self.ends


_EDGES = """
SELECT t, edge, part, arm, pid, how FROM silences
UNION ALL SELECT t, 'anew', NULL, NULL, NULL, NULL FROM resumptions ORDER BY t
"""


def watched_silences(history: History) -> tuple[SilentPeriod, ...]:
    """The silent periods that the watch recorded, in order of their ends."""
    found: list[SilentPeriod] = []
    open_: dict[tuple[str, str | None, int | None, str], int] = {}
    for t, edge, *what in history.rows(_EDGES):
        key = tuple(what)
        if edge == "begin":
            open_.setdefault(key, t)
        elif edge == "end" and key in open_:
            found.append(SilentPeriod(*key, begins=open_.pop(key), ends=t))
        elif edge == "anew":  # in a later part everything is new
            found += [SilentPeriod(*each, begins=since, ends=t) for each, since in open_.items()]
            open_.clear()
    end = experiment_end(history) if open_ else 0
    found += [
        SilentPeriod(*key, begins=since, ends=max(since, end), over=False) for key, since in open_.items()
    ]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PlannedSilences:
    """Times in which faults of the plan made the database server stand still or end, for all arms."""

    windows: Sequence[tuple[int, int]]

    def unexplained_s(self, silence: SilentPeriod) -> float:
        """How much of it no such fault explains, in seconds. Such faults explain silences of Postgres only."""
        return self.outside_s(silence) if silence.part == "postgres" else silence.lasted_s

    def outside_s(self, silence: SilentPeriod) -> float:
        """How much of it lies outside of all these times, in seconds."""
        left = [(silence.begins, silence.ends)]
        for begins, ends in self.windows:
            left = [piece for each in left for piece in _subtract(each, begins - BEFORE_NS, ends + AFTER_NS)]
        return sum(end - begin for begin, end in left) / 1e9


def _subtract(span: tuple[int, int], begins: int, ends: int) -> Iterator[tuple[int, int]]:
    if span[0] < begins:
        yield span[0], min(span[1], begins)
    if span[1] > ends:
        yield max(span[0], ends), span[1]


_ACTS = """
SELECT i.t0, coalesce((
    SELECT min(h.t1) FROM acts h WHERE h.action = 'heal' AND h.fault = i.fault AND h.arm = i.arm AND h.t0 >= i.t0
), i.t1)
FROM acts i WHERE i.action = 'inject' AND i.fault IN (SELECT name FROM fault_kinds WHERE stops_server) ORDER BY i.t0
"""


def planned_silences(history: History) -> PlannedSilences:
    """Read them from the acts, also failed ones: a pause that failed was a pause for a while."""
    return PlannedSilences(tuple(history.rows(_ACTS)))
