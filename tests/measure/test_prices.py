"""What a pool's settings caught and cost, on histories that can be counted on fingers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import SLOW, STEADY, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.pool_costs import Mechanism, PoolCost


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """A calm phase (2 to 6 s) and one with 25 ms of latency (10 to 14 s)."""
    with Recorded(tmp_path / "run", scenario(STEADY, SLOW)) as recorded:
        recorded.phase("steady", [(2, 4, None), (4, 6, None)])
        recorded.phase("slow", [(10, 12, None), (12, 14, None)])
        recorded.requests("plain", [3, 11])
        recorded.connect("plain", 1)
        recorded.finish()
        yield recorded


def tally(run: Recorded, at: float, **sums: float) -> None:
    nothing = {"requests": 10, "checkouts": 10, "pings": 0, "ping_ms": 0.0, "wait_ms": 0.0}
    line = {**nothing, "connects": 0, "connect_ms": 0.0, **sums}
    run.witness("plain", k="tally", t0=run.at(at), t=run.at(at + 0.25), **line)


def price(findings: Findings, phase: str = "steady") -> PoolCost:
    found = findings.cell("plain", phase).pool_cost
    assert found is not None
    return found


def test_sums_and_single_requests_add_up(run: Recorded) -> None:
    """Requests with nothing to tell are added up by the witness; the others have lines; the mean is over both."""
    tally(run, 3, pings=10, ping_ms=15.0, wait_ms=1.0)
    tally(run, 8, pings=99, ping_ms=99.0)  # between the phases
    slow = {
        "t": 1,
        "port": 1,
        "wait_ms": 1.2,
        "ping_ms": 7.0,
        "connect_ms": None,
        "fresh": False,
        "dead": False,
    }
    run.request("plain", 3.5, checkouts=[{**slow, "held_ms": 3.0, "statements": 2}])
    found = price(run.measured())
    assert (found.checkouts, found.pings, found.connects) == (11, 11, 0)
    assert found.ping_ms == pytest.approx(2.0)
    assert found.wait_ms == pytest.approx(0.2)


def test_what_each_setting_caught_threw_away_and_added(run: Recorded) -> None:
    """Two dead and one healthy by recycle, one dead by its ping, three healthy by the pool's invalidation."""
    tally(run, 3, checkouts=100, pings=50, ping_ms=100.0, connects=10, connect_ms=50.0)
    for dead in (True, True, False):
        run.close("plain", 3, dead=dead, recycle_ms=400, age_ms=500)
    run.close("plain", 3, after="ping")
    run.witness("plain", k="ping_failed", t=run.at(3), port=1, id="User-1", ms=20.0)
    for _ in range(3):
        run.close("plain", 3, dead=False, pool_invalidated=True)
    run.close("plain", 3, after="error")  # a request saw that one
    assert price(run.measured()).mechanisms == (
        Mechanism("pre-ping", 1, 0, pytest.approx((100 + 20 + 5) / 100)),  # type: ignore[arg-type]
        Mechanism("recycle", 2, 1, pytest.approx(3 * 5 / 100)),  # type: ignore[arg-type]
        Mechanism("invalidation", 0, 3, pytest.approx(3 * 5 / 100)),  # type: ignore[arg-type]
    )


def test_what_a_pool_notices_by_itself(run: Recorded) -> None:
    """No request was there; a connection that was closed alive, or that a request had met dead, is none of these."""
    tally(run, 3, checkouts=100, connects=10, connect_ms=50.0)
    run.close("plain", 3, after="noticed", id=None)
    run.close("plain", 3, id=None)
    run.close("plain", 3, after="error", id=None)
    found = run.measured()
    masked = found.cell("plain", "steady").masked
    assert masked is not None
    assert (masked.noticed, masked.total) == (1, 1)
    assert [(each.name, each.caught, each.healthy) for each in price(found).mechanisms] == [("noticed", 1, 0)]


def test_connects_of_the_worst_second(run: Recorded) -> None:
    """Four within a second, across the edge of a full one; the fifth is later."""
    tally(run, 3)
    for at in (3.7, 3.8, 4.1, 4.6, 4.9):
        run.connect("plain", at)
    assert price(run.measured()).most_connects_per_s == 4


def test_round_trips_are_measured_by_a_known_latency(run: Recorded) -> None:
    """A ping that 25 ms of latency make 75 ms longer takes three round trips; half of the checkouts pinged."""
    tally(run, 3, checkouts=20, pings=10, ping_ms=20.0)
    tally(run, 11, checkouts=20, pings=10, ping_ms=770.0)
    (mechanism,) = price(run.measured()).mechanisms
    assert mechanism.round_trips == pytest.approx(1.5)
