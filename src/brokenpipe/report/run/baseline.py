"""The table of what became of each rate and latency since the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.measure.regression import texts as said
from brokenpipe.measure.regression.metrics import RegressionMetric


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One check against the baseline, as texts."""

    verdict: Verdict
    phase: str
    arm: str
    what: str
    base: str
    new: str
    change: str
    interval: str
    tolerated: str


def baseline_rows(findings: Findings) -> tuple[BaselineRow, ...]:
    """Give every check against the baseline: what is worse first, then what is open."""
    found = []
    for check in findings.checks:
        if check.baseline is None:
            continue
        rise, risen = RegressionMetric(check.metric), check.value
        base, new = (
            said.value_text(rise, value, findings.control)
            for value in (check.baseline.base, check.baseline.new)
        )
        found.append(
            BaselineRow(
                verdict=check.verdict,
                phase=check.phase,
                arm=check.arm,
                what=said.METRIC_LABELS[rise],
                base=base,
                new=new,
                change="" if risen is None else said.change_text(rise, risen),
                interval=said.interval_text(rise, check.ci95),
                tolerated=said.change_text(rise, check.baseline.tolerated),
            )
        )
    order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)
    return tuple(sorted(found, key=lambda row: order.index(row.verdict)))
