"""Arms that took turns: each episode belongs to one arm, and differences are paired by round."""

from __future__ import annotations

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import KILL, SLOW, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.measure.model.findings import Findings
from brokenpipe.plan.phases import TURN_S
from brokenpipe.plan.scenario import Scenario

EXPECT = [{"arm": "pre_ping", "phase": "steady", "metric": "added_p50_ms", "above": 0}]
ABBA = ("plain", "pre_ping", "pre_ping", "plain", "plain", "pre_ping")
MACHINE_MS = (0, 40, 200)  # the machine becomes slower from round to round


def _isolated(plan: Scenario) -> Scenario:
    return plan.model_copy(update={"isolate": True})


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Three rounds on a machine that becomes slower; in each, pre_ping takes 20 to 22 ms more."""
    with Recorded(tmp_path_factory.mktemp("isolated"), _isolated(scenario(STEADY, expect=EXPECT))) as run:
        run.experiment(records.PhaseEdge(run.at(0), "steady", "begin"))
        for turn, arm in enumerate(ABBA):
            n, at = turn // 2, 3.0 * turn
            run.experiment(records.Episode("steady", n, run.at(at), run.at(at + 2), None, True, arm))
            ms = 50 + MACHINE_MS[n] + (20 + n if arm == "pre_ping" else 0)
            run.requests(arm, [at + part / 10 for part in range(20)], ms=ms)
        run.experiment(records.PhaseEdge(run.at(18), "steady", "end"))
        run.finish()
        return run.measured()


def test_a_round_is_one_episode_of_each_arm(findings: Findings) -> None:
    """Six turns of two arms are three episodes for each, with every request in its own arm's."""
    cells = [findings.cell(arm, "steady") for arm in ("plain", "pre_ping")]
    assert [(cell.episodes, cell.requests) for cell in cells] == [(3, 60), (3, 60)]


def test_differences_are_paired_by_round(findings: Findings) -> None:
    """However slow the machine was in a round, what pre_ping adds is the mean of 20, 21 and 22 ms, give or take 2.5."""
    (check,) = findings.checks
    assert check.value == pytest.approx(21)
    assert check.ci95 is not None
    assert check.ci95.high - check.ci95.low == pytest.approx(2 * 4.303 * 1 / 3**0.5, rel=0.01)


def test_the_report_knows(findings: Findings) -> None:
    """Which phases were isolated stands in the findings, and so in the report."""
    assert findings.isolated == ("steady",)


def test_what_is_isolated() -> None:
    """Where idle connections stay as they are: calm phases and latency; not strikes, and not a single arm."""
    idle = {"name": "idle", "fault": {"name": "idle_reset", "after_ms": 500}, "seconds": 4}
    plan = _isolated(scenario(STEADY, SLOW, KILL, idle))
    assert [phase.name for phase in plan.phases if plan.isolates(phase)] == ["steady", "slow"]
    alone = _isolated(scenario(STEADY, arms=("plain",)))
    assert not alone.isolates(alone.phases[0])
    assert not scenario(STEADY).isolates(STEADY_PHASE)


def test_how_long_it_takes() -> None:
    """Each of two blocks once for each of two arms, with a moment before each; strikes take as long as ever."""
    beside, isolated = scenario(STEADY, KILL), _isolated(scenario(STEADY, KILL))
    blocks, arms, block_s = 2, 2, 2.0
    added_s = blocks * (arms * (block_s + TURN_S) - block_s)
    assert isolated.forecast_s == pytest.approx(beside.forecast_s + added_s)


STEADY_PHASE = scenario(STEADY).phases[0]
