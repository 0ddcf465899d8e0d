"""Where the time of requests went, on figures that can be counted on fingers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded, error, link
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.report.ci.summary import summary

FULL = [link("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 2 overflow 0 reached")]


def checkout(run: Recorded, at: float, **changes: Any) -> dict[str, Any]:
    line = {
        "t": run.at(at), "port": 40_000, "wait_ms": 0.0, "ping_ms": None, "connect_ms": None, "fresh": False,
        "dead": False, "held_ms": 50.0, "statements": 1, "statements_ms": 0.0,
    }  # fmt: skip
    return line | changes


def tally(run: Recorded, at: float, requests: int, arm: str = "plain", **changes: Any) -> None:
    line = {
        "checkouts": requests, "pings": 0, "ping_ms": 0.0, "wait_ms": 0.0, "waits_ms": [], "held_ms": 0.0,
        "connects": 0, "connect_ms": 0.0, "failed_ping_ms": 0.0, "statements_ms": 0.0, "loop_ms": None,
        "request_ms": 0.0,
    }  # fmt: skip
    run.witness(arm, k="tally", t0=run.at(at), t=run.at(at + 0.25), requests=requests, **(line | changes))


@pytest.fixture
def run(tmp_path: Path) -> Recorded:
    recorded = Recorded(tmp_path / "run", scenario(STEADY, arms=("plain",)))
    recorded.phase("steady", [(0, 2, None), (2, 4, None)])
    recorded.connect("plain", 0.1)
    return recorded


def time_of(run: Recorded) -> TimeBreakdown | None:
    with run:
        run.finish(at=4)
    return run.measured().times.get(("plain", "steady"))


def test_lines_and_sums_make_one_mean(run: Recorded) -> None:
    """One request of 100 ms with a line, three of 60 ms in a sum: a mean of 70 ms, and each part likewise."""
    run.request(
        "plain",
        1,
        100,
        checkouts=[checkout(run, 1, wait_ms=20.0, ping_ms=4.0, connect_ms=8.0, statements_ms=40.0)],
        testimony={"loop_ms": 12.0, "unreturned": 0},
    )
    parts: dict[str, Any] = {
        "wait_ms": 12.0,
        "ping_ms": 3.0,
        "failed_ping_ms": 1.0,
        "connect_ms": 4.0,
        "statements_ms": 80.0,
    }
    tally(run, 2, 3, request_ms=180.0, loop_ms=8.0, **parts)
    found = time_of(run)
    assert found is not None
    assert (found.requests, found.total_ms) == (4, 70.0)
    assert dict(found.parts()) == {
        "pool": 8.0,
        "connect": 3.0,
        "ping": 2.0,
        "statements": 30.0,
        "loop": 5.0,
        "elsewhere": 22.0,
    }
    assert summary(run.measured())["arms"]["plain"]["phases"]["steady"]["time_ms"] == {  # type: ignore[index]
        "requests": 4, "total": 70.0, **dict(found.parts())
    }  # fmt: skip


def test_a_wait_in_vain_is_time_in_the_pool(run: Recorded) -> None:
    """No checkout came of it; the error tells from when to when it waited."""
    waited = {**error("checkout", FULL), "began": run.at(1), "t": run.at(1.3)}
    run.request("plain", 1, 320, errors=[waited])
    found = time_of(run)
    assert found is not None
    assert found.total_ms == pytest.approx(320), found
    assert found.pool_ms == pytest.approx(300)
    assert found.elsewhere_ms == pytest.approx(20)


def test_two_connections_at_once_are_not_more_than_the_whole(run: Recorded) -> None:
    """Two statements of 80 ms in a request of 100 ms, and a late loop meanwhile: 100 ms in all, none of it twice."""
    both = [checkout(run, 1, statements_ms=80.0), checkout(run, 1, statements_ms=80.0)]
    run.request("plain", 1, 100, checkouts=both, testimony={"loop_ms": 50.0})
    found = time_of(run)
    assert found is not None
    assert (found.statements_ms, found.loop_ms, found.elsewhere_ms) == (100.0, 0.0, 0.0)


def test_without_a_loop_its_time_is_not_known(run: Recorded) -> None:
    """Null, not 0; what passed is elsewhere."""
    tally(run, 1, 2, request_ms=100.0, statements_ms=40.0)
    found = time_of(run)
    assert found is not None
    assert (found.loop_ms, found.elsewhere_ms, found.outside_share) == (None, 30.0, 0.6)


@pytest.mark.parametrize("unseen", ["an old history", "operations", "no pool"])
def test_what_was_not_seen_is_not_known(unseen: str, tmp_path: Path) -> None:
    """No figure at all, rather than one that takes the database's time for something else."""
    run = Recorded(tmp_path / "run", scenario(STEADY, arms=("plain",)))
    run.phase("steady", [(0, 4, None)])
    if unseen != "no pool":
        run.connect("plain", 0.1)
    parts: dict[str, dict[str, Any]] = {
        "an old history": {"request_ms": None, "statements_ms": None, "failed_ping_ms": None},
        "operations": {"request_ms": 60.0, "statements_ms": None},
        "no pool": {},
    }
    tally(run, 1, 2, **parts[unseen])
    run.request("plain", 2, 50)
    assert time_of(run) is None
    told = summary(run.measured())["arms"]["plain"]["phases"]["steady"]  # type: ignore[index]
    assert told["time_ms"] is None
