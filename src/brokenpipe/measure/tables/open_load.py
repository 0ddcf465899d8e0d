"""An open load: how many requests arrived, how many of them began late, and how many never did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brokenpipe.formatting import milliseconds, percent
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.load import LATE_MS, LATE_SHARE
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.validity import ArrivalCounts, ValidityWarning
from brokenpipe.plan.scenario import Scenario

_BEGUN = """
SELECT arm, phase, count(*), count(*) FILTER (late_ms > ?), max(late_ms)
FROM outcomes WHERE phase IS NOT NULL GROUP BY ALL
"""
_MISSED = """
SELECT m.arm, c.phase, count(*) FROM missed m ASOF JOIN episode_list c ON m.t >= c.t0
WHERE m.t < c.t1 AND c.counts GROUP BY ALL
"""


def count_arrivals(history: History, scenario: Scenario) -> dict[ArmPhase, ArrivalCounts]:
    """Count arrivals of each arm and phase; empty for a closed load."""
    if scenario.load.arrivals_per_s is None:
        return {}
    missed = {(arm, phase): count for arm, phase, count in history.rows(_MISSED)}
    begun = {(arm, phase): counts for arm, phase, *counts in history.rows(_BEGUN, (LATE_MS,))}
    return {
        place: _arrival_counts(begun.get(place, [0, 0, None]), missed.get(place, 0))
        for place in sorted({*begun, *missed})
    }


def _arrival_counts(counts: list[float | None], missed: int) -> ArrivalCounts:
    begun, late, worst_ms = counts
    return ArrivalCounts(int(begun or 0) + missed, int(late or 0), missed, worst_ms)


def arrival_warnings(arrived: Mapping[ArmPhase, ArrivalCounts]) -> Iterator[ValidityWarning]:
    """Warn of arrivals that were late or never sent."""
    for (arm, phase), each in arrived.items():
        if each.missed:
            text = f"{each.missed} of {each.due} arrivals at {arm} in {phase} were never sent"
            yield ValidityWarning.of(Code.ARRIVALS_MISSED, text, phase=phase, arm=arm)
        if each.late > each.due * LATE_SHARE:
            text = (
                f"{percent(each.late / each.due)} of the arrivals at {arm} in {phase} began late, "
                f"by {milliseconds(each.worst_ms)} at most"
            )
            yield ValidityWarning.of(Code.ARRIVALS_LATE, text, phase=phase, arm=arm)
