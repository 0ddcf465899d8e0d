"""Faults of the wire and of the server, one after the other on the real stack: each lands, and each is healed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.runs import Run, Starter, write_scenario

pytestmark = pytest.mark.low_load

PHASES = """
[[phases]]
name = "backend_kill"
fault = { name = "backend_kill" }
episodes = 2
every_s = 1

[[phases]]
name = "restart"
fault = { name = "server_restart", mode = "immediate" }
episodes = 1
every_s = 4

[[phases]]
name = "after_the_restart"
seconds = 2

[[phases]]
name = "idle_session"
fault = { name = "server_setting", setting = "idle_session_timeout", after_ms = 300 }
episodes = 2
quiet_s = 0.6
burst_s = 0.4

[[phases]]
name = "read_only"
fault = { name = "server_setting", setting = "default_transaction_read_only" }
seconds = 2

[[phases]]
name = "limit"
fault = { name = "server_setting", setting = "connection_limit", connections = 1 }
seconds = 2

[[phases]]
name = "refuse"
fault = { name = "refuse" }
seconds = 2

[[phases]]
name = "black_hole"
fault = { name = "black_hole" }
seconds = 2

[[phases]]
name = "idle_drop"
fault = { name = "idle_drop", after_ms = 300 }
episodes = 2
quiet_s = 0.6
burst_s = 0.4

[[phases]]
name = "after_all"
seconds = 2
"""
STEADY = ("after_the_restart", "after_all")
FAULTY = (
    "backend_kill",
    "idle_session",
    "read_only",
    "limit",
    "refuse",
    "black_hole",
    "idle_drop",
    "restart",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    folder = tmp_path_factory.mktemp("faults")
    scenario = write_scenario(
        folder / "turns.toml",
        PHASES,
        target="pooled",
        locustfile=project / "scenarios/unhurried.py",
        arms="plain = {}\npre_ping = { DB_POOL_PRE_PING = 'true' }",
        users=4,
        timeout_s=1.0,
    )
    return Starter(folder).run(scenario, cwd=project)


def test_every_fault_was_promised_and_seen(run: Run) -> None:
    """Every contract held before, and in every episode of every arm a raw socket saw the fault."""
    probes = run.history("experiment.ndjson", "probe")
    assert [probe for probe in probes if not probe["held"]] == [], run.out
    landings = run.history("nemesis.ndjson", "landing")
    assert {landing["phase"] for landing in landings} == set(FAULTY)
    assert [landing for landing in landings if not landing["landed"]] == []


def test_every_act_was_done(run: Run) -> None:
    """No act failed; what is held was healed, and what all arms share is on record for each of them."""
    acts = run.history("nemesis.ndjson", "act")
    assert [act for act in acts if act["error"]] == []
    held = set(FAULTY) - {"backend_kill", "restart"}
    by_kind = {
        kind: sorted(act["arm"] for act in acts if (act["action"], act["fault"]) == kind)
        for kind in (("inject", "server_restart"), ("inject", "refuse"))
    }
    assert list(by_kind.values()) == [["plain", "pre_ping"]] * 2
    assert sum(act["action"] == "heal" for act in acts) == 2 * len(held)


def test_what_comes_after_is_whole(run: Run) -> None:
    """Nothing fails in the steady phases behind the restart and behind all the others."""
    arms = run.summary["arms"]
    failed = {(arm, phase): arms[arm]["phases"][phase]["failed"] for arm in arms for phase in STEADY}
    assert failed == dict.fromkeys(failed, 0)
    assert all(arms[arm]["phases"][phase]["requests"] for arm in arms for phase in STEADY)


def test_a_restart_of_ours_is_no_death(run: Run) -> None:
    """Postgres is another process after it; nobody reports one that died, and its gauges go on."""
    doubts = {doubt["code"] for doubt in run.history("experiment.ndjson", "doubt")}
    assert doubts.isdisjoint(
        {"postgres_died", "target_died", "toxiproxy_died", "act_failed", "proxy_restarted"}
    )
    (restart, *_) = (act for act in run.history("nemesis.ndjson", "act") if act["fault"] == "server_restart")
    for kind in ("postgres", "process"):
        gauges = run.history("gauges.ndjson", kind)
        assert any(
            gauge["t"] > restart["t1"] + 5e9
            for gauge in gauges
            if gauge.get("role", "postgres") == "postgres"
        )


def test_the_links_tell_who_ended_them(run: Run) -> None:
    """Killed by the server, cut by a toxic, closed by the client: the log of links knows all three."""
    enders = {link["ender"] for link in run.history("links.ndjson", "link_ended") if link["arm"] == "plain"}
    assert {"server", "toxic", "client"} <= enders
