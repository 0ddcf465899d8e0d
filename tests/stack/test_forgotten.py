"""A relay that forgets idle connections and answers their next byte by RST: ours, and one that nobody knows of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.stack.runs import REPOSITORY, STEADY, Run, Starter, write_scenario

pytestmark = pytest.mark.low_load

FAULT = 'fault = { name = "idle_reset", after_ms = 800, when = "next_packet" }'
BURSTS = """
[[phases]]
name = "forgotten"
{fault}
episodes = 4
quiet_s = 1.4
burst_s = 0.6
"""
ARMS = """plain = {}
pre_ping = { DB_POOL_PRE_PING = "true" }
recycle = { DB_POOL_RECYCLE = "0.6" }"""
NO_SETTING = ("no pool setting helps", "only a retry", "Neither pre-ping nor recycle")


def page(run: Run) -> str:
    """What a reader of the report sees, with ordinary spaces."""
    text = re.sub(r"<(script|style).*?</\1>", "", (run.folder / "report.html").read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text).replace("\u202f", " "))


def test_what_was_forgotten_is_stale_and_a_ping_prevents_it(brokenpipe: Starter, tmp_path: Path) -> None:
    """Plain breaks, and all of it stale; pre-ping and recycle below the limit break nothing, and have masked deaths."""
    scenario = write_scenario(
        tmp_path / "balancer.toml",
        STEADY + BURSTS.format(fault=FAULT),
        target="agent",
        locustfile=REPOSITORY / "scenarios/locustfile.py",
        users=4,
        arms=ARMS,
    )
    run = brokenpipe.run(scenario, html=True)
    phases = {arm: told["phases"]["forgotten"] for arm, told in run.summary["arms"].items()}
    plain, pre_ping, recycle = phases["plain"], phases["pre_ping"], phases["recycle"]
    assert plain["broken"] > 0, run.out
    assert (plain["stale"], plain["in_use"], plain["after_rest"]) == (plain["broken"], 0, 0), run.out
    assert plain["owed"]["preventable_by"]["pre_ping"] == plain["broken"]
    assert plain["owed"]["by_fault"] == {"idle_reset": plain["broken"]}
    assert (pre_ping["broken"], recycle["broken"]) == (0, 0), run.out
    assert pre_ping["masked_by"]["pre_ping"] > 0
    assert recycle["masked_by"]["recycle"] > 0
    assert not any(said in run.out + page(run) for said in NO_SETTING)
    landings = run.history("nemesis.ndjson", "landing")
    assert landings
    assert all(landing["landed"] for landing in landings), landings


def test_a_relay_that_nobody_knows_of_is_not_taken_for_a_death_in_use(
    brokenpipe: Starter, project: Path, tmp_path: Path
) -> None:
    """Without an arm that pings nobody can tell: the report says how long they had rested, and judges no setting."""
    scenario = write_scenario(
        tmp_path / "foreign.toml",
        STEADY + BURSTS.format(fault=""),
        target="forgotten",
        locustfile=REPOSITORY / "scenarios/locustfile.py",
        users=4,
        env={"AGENT": str(REPOSITORY / "targets/agent"), "FORGET_AFTER_S": "0.8"},
    )
    run = brokenpipe.run(scenario, cwd=project, html=True)
    plain = run.summary["arms"]["plain"]["phases"]["forgotten"]
    assert plain["broken"] > 0, run.out
    assert (plain["after_rest"], plain["stale"], plain["in_use"]) == (plain["broken"], 0, 0), run.out
    assert 0.8 <= plain["rest_s"][0] <= plain["rest_s"][1] <= 3.0
    assert plain["owed"]["preventable_unknown"] == plain["failed"]
    said = r"first use after [\d.]+(–[\d.]+)? s of rest"
    assert re.search(said, page(run))
    assert re.search(said, run.out)
    assert not any(said in run.out + page(run) for said in NO_SETTING)
