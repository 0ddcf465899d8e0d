"""Memory of every process over time, and whether it keeps growing after the warm-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from brokenpipe.formatting import megabytes
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.machine import EARLY_S, GROWN_BYTES, GROWN_SHARE
from brokenpipe.measure.model.series import Series
from brokenpipe.measure.model.validity import ProcessMemory, ValidityWarning

FINEST_S = 10.0
MOST_POINTS = 180
AROUND_S = 30.0  # a figure at a moment is the median of what lies so near
ROLES = ("harness", "load", "worker", "toxiproxy", "pgbouncer", "postgres", "target")
QUARTERS = 4

# Where it is known what is private, that is what counts: Postgres' backends share most of what they have.
_MEMORY = """
WITH g AS (
    SELECT role, arm, t, count(private_bytes) OVER (PARTITION BY role, arm) > 0 AS private, private_bytes, rss_bytes
    FROM process_gauges WHERE t >= ?
)
SELECT role, arm, private, (floor((t - ?) / 1e9 / {bin_s}) + 0.5) * {bin_s} AS at,
       median(CASE WHEN private THEN private_bytes ELSE rss_bytes END) AS bytes
FROM g WHERE NOT private OR private_bytes IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class _TimeRange:
    """What is looked at, in seconds since the experiment's begin."""

    begin_s: float
    end_s: float

    @property
    def early_s(self) -> float | None:
        """When the first figure is taken; None if that would leave too little time after it."""
        return self.begin_s + EARLY_S if self.end_s - self.begin_s >= 2 * EARLY_S else None


def memory_by_process(history: History, arms: Sequence[str], begin: int) -> tuple[ProcessMemory, ...]:
    """The memory of every process with its children, ours first. `begin`: zero of the axis (monotonic clock)."""
    (since,) = history.one("SELECT coalesce(max(t), 0) FROM clocks WHERE writer = 'experiment'")
    (last,) = history.one("SELECT coalesce(max(t), 0) FROM process_gauges")
    span = _TimeRange((since - begin) / 1e9, (last - begin) / 1e9)
    bin_s = max(FINEST_S, (span.end_s - span.begin_s) / MOST_POINTS)
    series: dict[tuple[str, str | None, bool], list[tuple[float, float]]] = {}
    for role, arm, private, at_s, value in history.rows(_MEMORY.format(bin_s=bin_s), (since, begin)):
        series.setdefault((role, arm, private), []).append((at_s, value))
    order = sorted(
        series,
        key=lambda one: (ROLES.index(one[0].partition(" ")[0]), arms.index(one[1]) if one[1] in arms else 0),
    )
    return tuple(_memory(*place, series[place], span.early_s) for place in order)


def _memory(
    role: str, arm: str | None, private: bool, points: Sequence[tuple[float, float]], early_s: float | None
) -> ProcessMemory:
    end_s = points[-1][0]
    early = None if early_s is None else _median_near(points, early_s)
    return ProcessMemory(
        role=role,
        arm=arm,
        private=private,
        series=Series(tuple(at for at, _ in points), tuple(value for _, value in points)),
        early_s=early_s,
        early_bytes=early,
        end_bytes=_median_near(points, end_s),
        peak_bytes=round(max(value for _, value in points)),
        grew=None if early_s is None else _kept_growing([each for each in points if each[0] >= early_s]),
    )


def _median_near(points: Sequence[tuple[float, float]], moment_s: float) -> int:
    near = [value for at, value in points if abs(at - moment_s) <= AROUND_S]
    return round(median(near or [min(points, key=lambda each: abs(each[0] - moment_s))[1]]))


def _kept_growing(points: Sequence[tuple[float, float]]) -> bool | None:
    """Whether it went up from each quarter of the time to the next, and in the end as fast as before.

    What fills a cache flattens out; what leaks does not. None: too few gauges to say.
    """
    if len(points) < 3 * QUARTERS:
        return None
    cuts = [round(len(points) * n / QUARTERS) for n in range(QUARTERS + 1)]
    levels = [median(value for _, value in points[a:b]) for a, b in pairwise(cuts)]
    steps = [after - before for before, after in pairwise(levels)]
    grown = levels[-1] - levels[0]
    enough = grown > max(GROWN_BYTES, GROWN_SHARE * levels[0])
    return enough and min(steps) > 0 and steps[-1] >= grown / len(steps) / 2


def memory_warnings(found: Sequence[ProcessMemory]) -> Iterator[ValidityWarning]:
    """One for each process that grew."""
    for one in found:
        if one.grew and one.early_bytes is not None:
            who = f"the service of {one.arm}" if one.arm else one.role
            text = (
                f"the memory of {who} grew from {megabytes(one.early_bytes)} after {EARLY_S / 60:g} minutes to "
                f"{megabytes(one.end_bytes)} at the end, and had not stopped"
            )
            yield ValidityWarning.of(Code.MEMORY_GREW, text, arm=one.arm)
