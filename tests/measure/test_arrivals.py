"""An open load in the figures: latency from when a request was due, and what began late or never."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, scenario

from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.plan.scenario import LoadSettings, Scenario

EXPECT = [{"arm": "*", "phase": "steady", "metric": "failed", "equals": 0}]


def _open(rate: float = 5.0) -> Scenario:
    closed = scenario(STEADY, expect=EXPECT)
    return closed.model_copy(update={"load": closed.load.model_copy(update={"arrivals_per_s": rate})})


def _measured(folder: Path, *, late_ms: float = 0.0, late: int = 0, missed: int = 0) -> Findings:
    """Twenty requests an arm, of which some of plain began late; beside them some that never began."""
    with Recorded(folder, _open()) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        for arm in ("plain", "pre_ping"):
            for n in range(20):
                at = 0.05 + n / 5.1
                request = run.request(arm, at, 50)
                if arm == "plain" and n < late:
                    run.load(records.ArrivalLate(run.at(at - late_ms / 1e3), arm, request, late_ms))
        for n in range(missed):
            run.load(records.ArrivalMissed(run.at(3 + n / 100), "plain"))
        run.finish()
        return run.measured()


def test_latency_counts_from_when_it_was_due(tmp_path: Path) -> None:
    """50 ms to answer after 700 ms of waiting for a user are 750 ms; who was on time has 50."""
    cells = _measured(tmp_path, late=2, late_ms=700).cells
    assert cells["plain", "steady"].latency_ms.p99 == pytest.approx(750)
    assert cells["plain", "steady"].latency_ms.p50 == pytest.approx(50)
    assert cells["pre_ping", "steady"].latency_ms.p99 == pytest.approx(50)


def test_late_arrivals_are_remarked(tmp_path: Path) -> None:
    """Two of twenty are more than one in twenty: a note, for their latency is known."""
    findings = _measured(tmp_path, late=2, late_ms=700)
    (warning,) = findings.warnings
    assert (warning.code, warning.arm, warning.unknown) == (Code.ARRIVALS_LATE, "plain", False)
    assert findings.arrivals["plain", "steady"].late == 2
    assert findings.verdict is Verdict.PASS


@pytest.mark.parametrize(("late", "late_ms"), [(1, 700.0), (20, 40.0)])
def test_a_few_or_a_little_late_is_on_time(tmp_path: Path, late: int, late_ms: float) -> None:
    """One of twenty, or all of them by less than 50 ms."""
    assert _measured(tmp_path, late=late, late_ms=late_ms).warnings == ()


def test_missed_arrivals_make_it_unknown(tmp_path: Path) -> None:
    """What was never sent has no latency, and no failure either."""
    findings = _measured(tmp_path, missed=3)
    (warning,) = findings.warnings
    assert (warning.code, warning.arm, warning.unknown) == (Code.ARRIVALS_MISSED, "plain", True)
    assert "3 of 23 arrivals at plain" in warning.text
    assert findings.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("load", "users"),
    [
        ({}, 10),
        ({"arrivals_per_s": 0.5}, 10),
        ({"arrivals_per_s": 20, "timeout_s": 2.0}, 40),
        ({"arrivals_per_s": 20, "timeout_s": 2.0, "users": 7}, 7),
        ({"arrivals_per_s": 900}, 500),
    ],
)
def test_as_many_users_as_it_takes(load: dict[str, Any], users: int) -> None:
    """As many as arrive while nothing is answered, unless the file says how many; at least 10, at most 500."""
    assert LoadSettings.model_validate(load).users == users
