"""A service that fails nearly every request although nothing is broken says nothing about settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import RESET, Recorded, error, link
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.drive.broken_service import failing_arms
from brokenpipe.load.messages import Count
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.run import headline_sentences

NO_TABLE = [
    link("sqlalchemy.exc.ProgrammingError", 'relation "memories" does not exist [SQL: …]'),
    link("asyncpg.exceptions.UndefinedTableError", 'relation "memories" does not exist', sqlstate="42P01"),
]
EXPECT = [
    {"arm": "*", "phase": "kill", "metric": "broken", "equals": 0},
    {"arm": "pre_ping", "phase": "kill", "metric": "failed", "equals": 0},
]
TIMES = [n / 10 for n in range(1, 40)]
STRUCK = [5 + n / 10 for n in range(1, 20)]


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Any]:
    """Four calm seconds, then two strikes, at 5.5 s and 6.5 s; or the other way round."""

    @contextmanager
    def record(*, calm_last: bool = False) -> Iterator[Recorded]:
        phases = (KILL, STEADY) if calm_last else (STEADY, KILL)
        with Recorded(tmp_path / "run", scenario(*phases, expect=EXPECT)) as run:
            run.probe()
            if not calm_last:
                run.phase("steady", [(0, 2, None), (2, 4, None)])
            run.phase("kill", [(5, 6, 5.5), (6, 7, 6.5)])
            if calm_last:
                run.phase("steady", [(10, 12, None), (12, 14, None)])
            for arm in ("plain", "pre_ping"):
                run.connect(arm, 0)
                run.land(arm, "kill", 2)
            yield run
            run.finish()

    return record


def _failing(run: Recorded, arm: str, times: list[float]) -> None:
    for at in times:
        run.request(arm, at, errors=[error("statement", NO_TABLE, dead=False)])


def _codes(found: Findings) -> list[tuple[str, str | None]]:
    return [(each.code, each.arm) for each in found.warnings if each.code == "service_broken"]


def test_one_arm_whose_table_was_never_made(recording: Callable[..., Any]) -> None:
    """It broke nothing, because it never got that far: no recommendation, and nothing of it is decided."""
    with recording() as run:
        run.requests("plain", TIMES)
        run.requests("plain", STRUCK)
        for at in (5.5, 6.5):
            run.request("plain", at, errors=[error("statement", RESET, dead=True)])
        _failing(run, "pre_ping", [*TIMES, *STRUCK])
        found = run.measured()
    assert _codes(found) == [("service_broken", "pre_ping")]
    (doubt,) = (each for each in found.warnings if each.code == "service_broken")
    assert "39 of 39 requests failed in steady, where nothing is broken" in doubt.text
    assert 'asyncpg.exceptions.UndefinedTableError: relation "memories" does not exist' in doubt.text
    assert "logs/target-pre_ping.log" in doubt.text
    assert found.best is None
    assert found.comparisons == ()
    assert found.sentence.startswith(
        "The service fails without any fault: 39 of 39 requests failed in steady in pre_"
    )
    assert {check.verdict for check in found.checks if check.arm == "pre_ping"} == {Verdict.UNKNOWN}
    assert not any("pre_ping in" in said for said in headline_sentences.headline_sentences(found))


def test_every_arm(recording: Callable[..., Any]) -> None:
    """Then it is about the whole run, and nothing passes."""
    with recording() as run:
        for arm in ("plain", "pre_ping"):
            _failing(run, arm, [*TIMES, *STRUCK])
        found = run.measured()
    assert _codes(found) == [("service_broken", None)]
    assert found.verdict is Verdict.UNKNOWN
    assert {check.verdict for check in found.checks} == {Verdict.UNKNOWN}
    assert "and likewise pre_ping" in found.sentence


def test_some_failures_are_none_of_it(recording: Callable[..., Any]) -> None:
    """Four of five requests fail: that is bad, and not of a service that does not work at all."""
    with recording() as run:
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [*TIMES[::5], *STRUCK])
            _failing(run, arm, [at for n, at in enumerate(TIMES) if n % 5])
        found = run.measured()
    assert _codes(found) == []


def test_few_requests_are_none_of_it(recording: Callable[..., Any]) -> None:
    """Nineteen failures of nineteen are too few to accuse a service."""
    with recording() as run:
        for arm in ("plain", "pre_ping"):
            _failing(run, arm, TIMES[:19])
            run.requests(arm, STRUCK)
        found = run.measured()
    assert _codes(found) == []


def test_a_service_that_worked_before_the_fault_has_not_recovered(recording: Callable[..., Any]) -> None:
    """It failed in all of the calm phase after it: a result, not a reason to doubt the run."""
    with recording(calm_last=True) as run:
        for arm in ("plain", "pre_ping"):
            run.requests(arm, STRUCK[:14])
            _failing(run, arm, [*STRUCK[14:], *(10 + at for at in TIMES)])
        found = run.measured()
    assert _codes(found) == []
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("fault", "before", "now", "arms"),
    [
        (False, Count(0, 0, 0), Count(40, 40, 40), ("plain",)),
        (False, Count(0, 0, 0), Count(40, 40, 36), ("plain",)),
        (False, Count(0, 0, 0), Count(40, 40, 35), ()),
        (False, Count(0, 0, 0), Count(40, 19, 19), ()),
        (False, Count(99, 99, 0), Count(139, 139, 40), ()),
        (True, Count(0, 0, 0), Count(40, 40, 40), ()),
    ],
    ids=["all", "nine of ten", "fewer", "too few", "worked before", "with a fault"],
)
def test_after_which_phase_a_run_stops(fault: bool, before: Count, now: Count, arms: tuple[str, ...]) -> None:
    """By the same rule: counts of all requests since the beginning, before the phase and now."""
    phase = scenario(KILL if fault else STEADY).phases[0]
    assert failing_arms(phase, {"plain": before}, {"plain": now}) == arms
