"""Eight arms side by side: the most that one looks at in one table."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.runs import STEADY, Starter, write_scenario

pytestmark = pytest.mark.low_load

ARMS = [f"arm_{number}" for number in range(1, 9)]
KILL = """
[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 2
every_s = 1
"""


def test_eight_arms_of_five_users(brokenpipe: Starter, project: Path) -> None:
    """Each has its own target, proxy, database and users; the report says how busy all of them were."""
    scenario = write_scenario(
        brokenpipe.folder / "eight.toml",
        STEADY + KILL,
        target="threaded",
        locustfile=project / "scenarios" / "locustfile.py",
        users=5,
        arms="\n".join(f'{arm} = {{ NUMBER = "{arm[-1]}" }}' for arm in ARMS),
        env={"LEDGER": str(brokenpipe.folder / "ledger")},
    )
    run = brokenpipe.run(scenario, cwd=project)
    assert run.popen.returncode in {0, 3}, run.out  # a machine that is too busy says unknown, and is right
    assert list(run.summary["arms"]) == ARMS
    for arm in run.summary["arms"].values():
        assert arm["phases"]["steady"]["requests"] > 5
        assert arm["phases"]["steady"]["failed"] == 0
        assert arm["phases"]["kill"]["requests"] > 5
    gauged = {(each["role"], each["arm"]) for each in run.history("gauges.ndjson", "process")}
    others = {("harness", None), ("load", None), ("toxiproxy", None), ("postgres", None)}
    assert gauged == others | {("target", arm) for arm in ARMS}
    _assert_health_is_told((run.folder / "report.html").read_text())


def _assert_health_is_told(page: str) -> None:
    health = page.partition('id="health-title"')[2].partition("</section>")[0]
    for who in ("load", "toxiproxy", "postgres", "machine", *ARMS):
        assert who in health.lower(), f"{who} is not in the health of the instrument"
