"""Services to which a larger pool is no help, played for real: each is named for what it is, and for nothing else.

nested    a request takes two connections at once
locked    a lock in front of the pool lets one request through
leaking   of four connections, three are forgotten by requests
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.stack.runs import Run, Starter, write_scenario
from tests.unit.shell import brokenpipe

pytestmark = pytest.mark.low_load

SIZES = (2, 4, 10)
LEAKING, LOCKED = 4, 6  # the sizes of their pools
LOST = LEAKING - 1
PHASES = """
[[phases]]
name = "steady"
seconds = 8

[[phases]]
name = "slow"
seconds = 2
fault = { name = "latency", ms = 5 }

[[expect]]
arm = "*"
phase = "steady"
metric = "slots_lost"
equals = 0
"""
ARMS = "\n".join(
    (
        *(f'size_{size} = {{ POOL_SIZE = "{size}" }}' for size in SIZES),
        f'locked = {{ target = "locked", POOL_SIZE = "{LOCKED}" }}',
        f'leaking = {{ target = "leaking", POOL_SIZE = "{LEAKING}" }}',
    )
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """Four users: a pool of ten has room for all that they can want, two and four have not."""
    folder = tmp_path_factory.mktemp("nested")
    scenario = write_scenario(
        folder / "nested.toml",
        PHASES,
        target="nested",
        locustfile=project / "scenarios" / "locustfile.py",
        users=4,
        arms=ARMS,
    )
    return Starter(folder).run(scenario, cwd=project)


def phase(run: Run, arm: str, name: str = "steady") -> dict[str, Any]:
    found: dict[str, Any] = run.summary["arms"][arm]["phases"][name]
    return found


def about(run: Run, arm: str) -> list[str]:
    """The sentences of the report about one arm."""
    return [said for said in run.summary["evidence"] if arm in said]


def test_every_request_is_seen_to_take_two_at_once(played: Run) -> None:
    """Of every size, also of that in which nobody waits for the second."""
    assert phase(played, "size_10")["failed"] == 0
    for size in SIZES:
        (found,) = phase(played, f"size_{size}")["nested_checkouts"]
        assert found["request"] == "GET /work"
        missing = (
            found["requests"] - found["nested"]
        )  # where the pool is small, some wait for their first in vain
        assert missing <= 4 if size == 10 else found["nested"] > 20
        assert found["connections"] == 2
        assert (
            found["waited"] > 0 if size < 10 else found["waited"] <= 2
        )  # of hundreds: two may begin together
    assert phase(played, "size_2")["nested_checkouts"][0]["gave_up"] > 5


def test_the_report_and_the_advice_say_that_no_size_is_enough(played: Run) -> None:
    """In ten connections nobody waits, which is no knee. Services of another kind are no sizes of this one."""
    sizing = played.summary["sizing"]
    assert sizing["knee"] is None
    assert sizing["known"] is False
    assert sizing["left_out"] == {"locked": "another target", "leaking": "another target"}
    assert any(said.startswith("Requests of GET /work take two") for said in played.summary["evidence"])
    advised = brokenpipe("advise", str(played.folder), "--peak-per-s", "30")
    text = " ".join((advised.out + advised.err).split())
    assert advised.exit_code == 3, advised
    assert "No pool size is enough. Requests of GET /work take two connections of one pool at once" in text
    assert "a pool of n safely serves n − 1 of them at a time" in text
    assert "pool_size=" not in text


def test_a_lock_in_front_of_the_pool_is_named(played: Run) -> None:
    """One connection is out, nobody waits for one, and most of a request's time is elsewhere."""
    found = phase(played, "locked")
    assert found["failed"] == 0
    assert found["pool"]["peak_out"] == 1
    time = found["time_ms"]
    assert time["pool"] < 5
    assert 90 < time["statements"] < time["elsewhere"]
    assert time["total"] == pytest.approx(
        sum(time[part] or 0 for part in time if part not in ("total", "requests"))
    )
    (said,) = about(played, "locked")
    assert said.startswith(
        f"Requests of locked wait in front of their pool, not for it: never more than 1 of {LOCKED} connections was out"
    )
    assert "a larger pool changes nothing" in said


def test_connections_that_are_forgotten_are_named(played: Run) -> None:
    """What is lost is counted, with the requests that took it; the check that nothing is lost fails."""
    found = phase(played, "leaking")
    assert found["slots_lost"] == LOST
    lost = found["lost_slots"]
    assert lost["by_request"] == {"GET /work": LOST}
    assert lost["example"]["id"]
    assert found["failed_by_class"].get("pool exhausted", 0) > 5
    said = next(said for said in about(played, "leaking") if "took from the pool" in said)
    assert said.startswith(
        f"{LOST} connections that requests of leaking took from the pool in steady were never"
    )
    verdicts = {
        check["arm"]: check["verdict"]
        for check in played.summary["checks"]
        if check["metric"] == "slots_lost"
    }
    assert verdicts.pop("leaking") == "fail"
    assert set(verdicts.values()) <= {"pass", "unknown"}
    assert {phase(played, arm)["slots_lost"] for arm in verdicts} == {0}


def test_none_is_blamed_on_the_fault_or_answered_with_a_larger_pool(played: Run) -> None:
    """A latency of 5 ms, under which the requests of a full pool fail as before: it is not their cause."""
    for arm in ("leaking", "size_2"):
        owed = phase(played, arm, "slow")["owed"]
        assert owed is not None, arm
        assert (owed["by_fault"], owed["direct"] + owed["collateral"] + owed["secondary"]) == ({}, 0), arm
    text = " ".join(played.summary["evidence"])
    assert "add larger" not in text
    assert "larger pool changes nothing" in text
