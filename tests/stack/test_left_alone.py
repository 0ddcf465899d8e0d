"""What the scenario does not say is not done to a service: against one that could not bear it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.runs import STEADY, Run, Starter, write_scenario

pytestmark = pytest.mark.low_load

PAUSE_S = 3.0
PHASES = f"""
{STEADY}
[[phases]]
name = "pause"
fault = {{ name = "server_pause" }}
seconds = {PAUSE_S:g}

[[phases]]
name = "slow"
fault = {{ name = "latency", ms = 10 }}
seconds = 2

[[phases]]
name = "kill"
fault = {{ name = "socket_kill", how = "reset" }}
episodes = 1
every_s = 2
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """A pool that cannot reconnect: its threads are not in the process that uses it."""
    folder = tmp_path_factory.mktemp("preloaded")
    scenario = write_scenario(
        folder / "preloaded.toml",
        PHASES,
        target="preloaded",
        locustfile=project / "scenarios" / "locustfile.py",
        users=2,
        timeout_s=15.0,
    )
    return Starter(folder).run(scenario, cwd=project)


def failed(run: Run) -> dict[str, int]:
    phases = run.summary["arms"]["plain"]["phases"]
    assert all(phase["requests"] for phase in phases.values()), run.out
    return {name: phase["failed"] for name, phase in phases.items()}


def test_a_pool_that_cannot_reconnect_lives_until_it_is_struck(run: Run) -> None:
    """Nothing fails before the first strike; after it the pool is of no use, so one cut of ours would have shown."""
    counts = failed(run)
    assert counts.pop("kill") > 0, run.out
    assert counts == {"steady": 0, "pause": 0, "slow": 0}, run.out


def test_no_connection_is_ended_but_by_the_fault(run: Run) -> None:
    """There is no act but those of the faults, and the proxy has cut nothing before the strike."""
    acts = run.history("nemesis.ndjson", "act")
    assert [act["action"] for act in acts] == ["inject", "heal", "inject", "heal", "inject"]
    cuts = [cut for cut in run.history("links.ndjson", "link_cut") if cut["arm"] == "plain"]  # no probe
    assert cuts, "the strike has cut the pool's connections"
    assert [cut for cut in cuts if cut["t"] < acts[-1]["t0"]] == []
    assert run.summary["phases"]["kill"]["renewed_connections"] == {}


def test_a_pause_lasts_what_it_says(run: Run) -> None:
    """Three seconds, whatever patience users have; whoever waited got an answer, after as long."""
    inject, heal = run.history("nemesis.ndjson", "act")[:2]
    assert (heal["t0"] - inject["t0"]) / 1e9 == pytest.approx(PAUSE_S, abs=0.2)
    slowest_ms = max(
        end["ms"]
        for end in run.history("requests.ndjson", "end")
        if end["t0"] < heal["t0"] < end["t0"] + end["ms"] * 1e6
    )
    assert PAUSE_S - 0.3 < slowest_ms / 1000 < PAUSE_S + 1.0


def test_connections_end_by_rst_from_the_first_on(run: Run) -> None:
    """What the last phase needs was decided before the service was started: its strike was seen as a reset."""
    (landing,) = (each for each in run.history("nemesis.ndjson", "landing") if each["phase"] == "kill")
    assert (landing["seen"], landing["landed"]) == ("reset", True)
