"""`run --until-decided`, for real: episodes are added where an interval is open, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.runs import BURSTS, STEADY, Run, Starter, write_scenario

from brokenpipe.measure.pipeline import measure

pytestmark = pytest.mark.alone

# Nothing is above what it is: the first can never be decided in an arm where nothing breaks. The second is at once.
EXPECT = """
[[expect]]
arm = "pre_ping"
phase = "idle"
metric = "broken_pipe_rate"
above = 0.0

[[expect]]
arm = "plain"
phase = "steady"
metric = "failure_rate"
at_most = 0.9
"""
ARMS = 'plain = {}\npre_ping = { DB_POOL_PRE_PING = "true" }'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three episodes, and then three more: the limit is six."""
    folder = tmp_path_factory.mktemp("until_decided")
    scenarios = Path(__file__).parents[2] / "scenarios"
    scenario = write_scenario(
        folder / "open.toml",
        STEADY.replace("2", "4") + BURSTS + EXPECT,
        target="agent",
        locustfile=scenarios / "locustfile.py",
        arms=ARMS,
        users=3,
    )
    return Starter(folder).run(scenario, "--until-decided", "--at-most", "6")


def test_it_ends_at_its_limit(run: Run) -> None:
    """What more episodes cannot decide stays unknown, and the run says that it looked."""
    assert run.popen.returncode == 3, run.out
    assert "looking whether everything is decided" in run.out
    assert run.last_line.startswith("? UNKNOWN")


def test_only_the_open_phase_got_more(run: Run) -> None:
    """Six episodes where an interval was open, numbered on; what was decided was not played again."""
    episodes = run.history("experiment.ndjson", "episode")
    assert [each["n"] for each in episodes if each["phase"] == "idle"] == [0, 1, 2, 3, 4, 5]
    assert [each["n"] for each in episodes if each["phase"] == "steady"] == [0, 1]
    edges = [(each["name"], each["edge"]) for each in run.history("experiment.ndjson", "phase")]
    assert edges == [(name, edge) for name in ("steady", "idle", "idle") for edge in ("begin", "end")], (
        "the timeline, then the open phase"
    )


def test_each_episode_of_both_stretches_landed(run: Run) -> None:
    """What was added was watched like the rest: a sentinel saw the fault in every episode of every arm."""
    landings = run.history("nemesis.ndjson", "landing")
    landed = {(each["arm"], each["episode"]) for each in landings if each["landed"]}
    assert landed == {(arm, n) for arm in ("plain", "pre_ping") for n in range(6)}


def test_measured_again_it_says_the_same(run: Run) -> None:
    """The looks stand in plan.json, so the same error is split between them when the folder is read again."""
    findings = measure(run.folder)
    (open_, _) = findings.checks
    assert open_.open
    written = run.summary["checks"][0]
    assert (open_.ci95 and [open_.ci95.low, open_.ci95.high]) == written["ci95"]
    assert any("judged after 3, 6; planned were looks at 3, 6." in note for note in findings.notes)
