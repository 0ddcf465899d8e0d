"""What helps, and what is recommended."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.strangers.counting import NUMBER, at_most, failed_share, integer, pinging_twins, places
from tests.strangers.told import Report

SURELY = 0.001  # that chance explains what is held against a claim
MOST_FAIL = 0.8  # of the requests where nothing is broken: then the service is, and no setting

_INSTEAD = re.compile(rf"(\d+(?:\.\d+)?) %[^.;()]*\({NUMBER} instead of {NUMBER}\)")


def no_setting_helps_where_one_did(report: Report) -> Iterator[str]:
    """“No pool setting helps” and “by neither” of as many requests as the arm that pings lost as well, not more."""
    for arm, phase, cell in report.cells():
        hopeless = max(cell["in_use"] or 0, (cell.get("owed") or {}).get("not_preventable", 0))
        for other in pinging_twins(report, arm):
            asked = len(report.history.counted(other, phase))
            failed = len(report.history.failed(other, phase))
            due = hopeless * asked / max(cell["requests"], 1)
            if at_most(failed, due) < SURELY:
                said = f"no setting helps {hopeless} requests of {arm} in {phase}"
                yield f"{said}, and {other} lost {failed} where that would have been {due:.0f}"


def percentages_agree(report: Report) -> Iterator[str]:
    """“P % … (a instead of b)”: P is what a is less than b, to a point."""
    for match in _INSTEAD.finditer(report.text):
        share, some, others = float(match[1]), integer(match[2]), integer(match[3])
        if others and abs(share - 100 * (1 - some / others)) > 1:
            yield f"“{match[0]}”, and {some} instead of {others} is {100 * (1 - some / others):.0f} % less"


def best_fails_no_more(report: Report) -> Iterator[str]:
    """An arm is recommended only if no larger share of its requests failed than of the control's."""
    best, control = report.summary["best"], report.summary["control"]
    if best is None or best["arm"] == control or not best["beyond_chance"]:
        return
    rates = [failed_share(report, arm) for arm in (best["arm"], control)]
    if rates[0] > rates[1]:
        yield f"{best['arm']} is recommended and failed {rates[0]:.1%}, where {control} failed {rates[1]:.1%}"


def broken_service_is_not_judged(report: Report) -> Iterator[str]:
    """Where nearly everything fails while nothing is broken, nothing passes, and nobody prevents anything."""
    for arm, phase, _ in report.cells():
        failed, asked = (len(some(arm, phase)) for some in (report.history.failed, report.history.counted))
        if report.fault(phase) or not asked or failed < MOST_FAIL * asked:
            continue
        if report.summary["verdict"] == "pass":
            yield f"pass, and {failed} of {asked} requests of {arm} failed in {phase}"
        if arm == report.summary["control"] and report.summary["best"]:
            yield f"“{report.summary['sentence']}”, and {failed} of {asked} failed in {phase}, without a fault"


def all_different_failures_are_told(report: Report) -> Iterator[str]:
    """That an arm failed far less, or far more, than the control under a fault is said above the table.

    Of its phase, or of all faults together. Where several services share a run, it is said of the best of them.
    """
    control = report.summary["control"]
    faulty = [phase for arm, phase, _ in report.cells() if arm == control and report.fault(phase)]
    in_all = sum(len(report.history.failed(control, phase)) for phase in faulty)
    said = " ".join([report.summary["sentence"], *report.summary["evidence"]])
    for arm, phase, _ in report.cells():
        if arm == control or not report.fault(phase) or (control, phase) not in places(report):
            continue
        some, others = len(report.history.failed(arm, phase)), len(report.history.failed(control, phase))
        told = re.search(rf"\b{arm}\b|(instead of|failed and) ({others}|{in_all}) of", said)
        if min(some, others) == 0 and max(some, others) >= 10 and not told:
            yield f"{arm} failed {some} and {control} {others} in {phase}, and no sentence says so"
