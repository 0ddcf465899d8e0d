"""`--isolate`, played for real: one arm at a time, in alternating order, strikes side by side as ever."""

from __future__ import annotations

import pytest
from tests.stack.runs import REPOSITORY, STEADY, Starter, write_scenario

pytestmark = pytest.mark.few

KILL = """
[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 1
every_s = 1
"""


def test_arms_take_turns(brokenpipe: Starter) -> None:
    """In an arm's turn no other arm is asked; the order is forth and back; a strike hits both at once."""
    scenario = write_scenario(
        brokenpipe.folder / "turns.toml",
        STEADY.replace("seconds = 2", "seconds = 4") + KILL,
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "locustfile.py",
        arms="plain = {}\nother = {}",
    )
    run = brokenpipe.run(scenario, "--isolate")
    assert run.popen.returncode == 3, run.out  # nothing was expected
    episodes = run.history("experiment.ndjson", "episode")
    turns = [(each["n"], each["arm"]) for each in episodes if each["phase"] == "steady"]
    assert turns == [(0, "plain"), (0, "other"), (1, "other"), (1, "plain")]
    assert [each["arm"] for each in episodes if each["phase"] == "kill"] == [None]
    ends = run.history("requests.ndjson", "end")
    for episode in episodes[:4]:
        asked = {end["arm"] for end in ends if episode["t0"] <= end["t0"] < episode["t1"]}
        assert asked == {episode["arm"]}
    arms = run.summary["arms"].values()
    assert [arm["phases"]["steady"]["episodes"] for arm in arms] == [2, 2]
    assert run.summary["isolated"] == ["steady"]
    assert "one arm at a time" in run.out
    assert "one arm at a time" in (run.folder / "report.html").read_text()
