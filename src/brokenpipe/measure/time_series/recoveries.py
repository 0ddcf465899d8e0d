"""Queries of outages and recoveries of each arm and phase.

Ten million successes are not sorted for that. Failures and long requests are read one by one, and so is every request
in a half second with a failure or a strike; of any other half second, only the first and the last success.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from operator import itemgetter

from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.fault_windows import FaultWindows, fault_windows
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.recovery import (
    LONG_WAIT_MEDIANS,
    LONG_WAIT_MS,
    AnswerTimeline,
    RequestSpan,
    build_answer_timeline,
)
from brokenpipe.plan.phases import Phase
from brokenpipe.plan.scenario import Scenario

HALF_NS = 500_000_000

# Half seconds of which every request is read.
_CLOSE_UP = f"""
CREATE TABLE closely AS
SELECT arm, half, bool_or(struck) AS struck FROM (
    SELECT arm, coalesce(t_end, t + ?) // {HALF_NS} AS half, false AS struck
    FROM other_outcomes WHERE failure IS NOT NULL
    UNION ALL
    SELECT arm, t // {HALF_NS} + unnest([0, 1]), true FROM (
        SELECT arms.arm, strike AS t FROM episode_list, (SELECT DISTINCT arm FROM outcomes_everywhere) AS arms
        WHERE strike IS NOT NULL
        UNION ALL SELECT arm, t0 FROM acts WHERE action = 'inject'
    )
) GROUP BY ALL
"""
# Of successes that are looked at closely, those beside something else and those beside a strike or an edge of the half.
_ANSWERS = f"""
WITH ends AS (
    SELECT arm, phase, t, coalesce(t_end, t + ?) AS t_end, failure IS NULL AS ok,
           failure IS NULL AND ms < {LONG_WAIT_MS} AS plain
    FROM outcomes WHERE phase IS NOT NULL
), parted AS (
    SELECT e.*, e.t_end // {HALF_NS} AS half, c.half IS NULL AND plain AS thin, coalesce(struck, false) AS struck
    FROM ends e LEFT JOIN closely c ON e.arm = c.arm AND e.t_end // {HALF_NS} = c.half
), beside AS (
    SELECT *, lag(plain) OVER w AND lead(plain) OVER w AS among
    FROM parted WHERE NOT thin WINDOW w AS (PARTITION BY arm, phase, half ORDER BY t_end)
)
SELECT arm, phase, t, t_end, ok FROM beside WHERE struck OR NOT plain OR among IS NOT TRUE
UNION ALL
SELECT arm, phase, unnest([min(t), max(t)]), unnest([min(t_end), max(t_end)]), true
FROM parted WHERE thin GROUP BY arm, phase, half
ORDER BY arm, phase, t_end
"""
_STRIKES = "SELECT phase, strike FROM episode_list WHERE counts AND strike IS NOT NULL ORDER BY strike"
_LONGEST = "SELECT arm, phase, max(coalesce(ms, ?)) FROM outcomes WHERE phase IS NOT NULL GROUP BY ALL"


@dataclass(frozen=True, slots=True)
class _Strike:
    """One strike. `over`: whether the fault had ended before the phase's last request; `until`: the next strike."""

    t: int
    until: int | None
    over: bool


def with_recoveries(
    history: History, scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add outages and recoveries to each arm and phase."""
    limit_ms = scenario.load.timeout_s * 1000  # the least wait of a request that was never answered
    longest = {(arm, phase): ms for arm, phase, ms in history.rows(_LONGEST, (limit_ms,))}
    begins: dict[str, list[int]] = defaultdict(list)
    for name, t0 in history.rows("SELECT name, t0 FROM stretches ORDER BY t0"):
        begins[name].append(t0)
    found = dict(cells)
    strikes = tuple(history.rows(_STRIKES))
    held = fault_windows(history)
    for place, requests in _by_place(history, round(limit_ms * 1e6)):
        if place not in cells:  # the edges of its phase cannot be read
            continue
        cell, starts = cells[place], begins[place[1]]
        played = _timelines_by_stretch(requests, starts, _long_ns(cell))
        struck = _strikes(scenario.phase(place[1]), place[0], strikes, starts, held, played)
        found[place] = replace(
            cell,
            recovery_s=tuple(_recovery_s(played, starts, each) for each in struck),
            unavailable_s=sum(each.unavailable_ns for each in played.values()) / 1e9,
            longest_wait_ms=longest[place],
        )
    return found


def _long_ns(cell: ArmPhaseStats) -> int:
    return round(max(LONG_WAIT_MS, LONG_WAIT_MEDIANS * (cell.latency_ms.p50 or 0.0)) * 1e6)


def _by_place(history: History, limit_ns: int) -> Iterator[tuple[ArmPhase, list[RequestSpan]]]:
    """In order of their ends."""
    history.sql(_CLOSE_UP.replace("?", str(limit_ns)))
    rows = history.stream(_ANSWERS.replace("?", str(limit_ns)))
    for place, some in groupby(rows, key=itemgetter(0, 1)):
        yield place, [RequestSpan(*row) for _, _, *row in some]


def _timelines_by_stretch(
    requests: Sequence[RequestSpan], begins: Sequence[int], long_ns: int
) -> dict[int, AnswerTimeline]:
    """The timelines of each stretch of the phase. No outage reaches from one into another."""
    parts: dict[int, list[RequestSpan]] = defaultdict(list)
    for request in requests:
        parts[bisect_right(begins, request.t)].append(request)
    return {n: build_answer_timeline(some, long_ns) for n, some in parts.items()}


def _strikes(
    phase: Phase,
    arm: str,
    strikes: Sequence[tuple[str, int]],
    begins: Sequence[int],
    held: FaultWindows,
    played: Mapping[int, AnswerTimeline],
) -> Iterator[_Strike]:
    """The strikes that an arm had to recover from. For a held fault, its begin in each stretch."""
    if phase.fault is None or (phase.arms and arm not in phase.arms):
        return
    times = [t for name, t in strikes if name == phase.name]
    at_once = phase.fault.momentary or phase.fault.silence_ms is not None
    for t, later in zip_longest(times, times[1:]):
        until = later if bisect_right(begins, later or 0) == bisect_right(begins, t) else None
        yield _Strike(t, until, over=at_once)
    for window in () if times else held.by_arm.get(arm, ()):
        n = bisect_right(begins, max(window.begins, begins[0])) if begins else 0
        if window.fault == phase.fault.name and window.phase == phase.name and n in played:
            begin = max(window.begins, begins[n - 1])
            yield _Strike(begin, None, over=at_once or window.ends < played[n].requests[-1].end)


def _recovery_s(played: Mapping[int, AnswerTimeline], begins: Sequence[int], strike: _Strike) -> float | None:
    there = played.get(bisect_right(begins, strike.t))
    return there.recovery_s(strike.t, strike.until, over=strike.over) if there else None
