"""Services whose requests wait for something else than the pool, or lose its connections: no size is the answer.

Of each arm 8 blocks of 2 s; in each block a request starts every 0.25 s and takes 1 s, so four are under way. All
connections of an arm together are out for as long as its holds say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.measure.test_advise import advise, flat
from tests.measure.test_lost_slots import keep_one
from tests.measure.test_request_time import tally
from tests.measure.test_sizing import gauge
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.sizing.curve import NoSize, sizing_curve
from brokenpipe.report.run.headline_sentences import headline_sentences

BLOCKS = 8
EACH = 8  # requests of a block, of 1 s each


def recorded(
    folder: Path,
    sizes: Mapping[str, int],
    *,
    out: int = 1,
    held_ms: float = 245.0,
    statements_ms: float = 200.0,
    waits_ms: float = 0.0,
    loop_ms: float = 5.0,
) -> Recorded:
    """Arms with pools of these sizes, behind something that lets `out` requests through at a time."""
    run = Recorded(folder / "run", scenario({**STEADY, "seconds": 2.0 * BLOCKS}, arms=tuple(sizes)))
    run.phase("steady", [(2.0 * n, 2.0 * n + 2, None) for n in range(BLOCKS)])
    for arm, size in sizes.items():
        run.connect(arm, 0.1)
        for n in range(BLOCKS):
            gauge(run, arm, 2 * n + 0.2, size=size, out=out)
            waits = [waits_ms] * EACH if waits_ms else []
            tally(
                run, 2 * n + 0.5, EACH, arm=arm, held_ms=EACH * held_ms, statements_ms=EACH * statements_ms,
                request_ms=EACH * 1000.0, loop_ms=EACH * loop_ms, wait_ms=sum(waits), waits_ms=waits,
            )  # fmt: skip
            run.requests(arm, [2 * n + 0.25 * k for k in range(EACH)], ms=1000)
    return run


def measured(run: Recorded) -> Findings:
    with run:
        run.finish(at=2 * BLOCKS)
    return run.measured()


LOCKED = {"one": 1, "ten": 10, "fifty": 50}


def test_behind_a_lock_no_size_makes_a_difference(tmp_path: Path) -> None:
    """Pools of 1, 10 and 50, of which one connection is ever out: the advice is where the time is, and no number."""
    run = recorded(tmp_path, LOCKED)
    findings = measured(run)
    sizing = sizing_curve(findings)
    assert sizing is not None
    assert (sizing.knee, sizing.no_size) == (None, NoSize.ELSEWHERE)
    result = advise(run.folder, "--workers", "4")
    assert result.exit_code == 3
    said = flat(result)
    assert "Pool size makes no difference here: requests wait elsewhere in the service." in said
    assert (
        "In pools of 1 to 50 connections nobody waited for one, and never more than 1 was out while 4.0 "
        in said
    )
    assert (
        "80 % of a request's time (800 ms of 1,000 ms) passed outside of the pool and its connections" in said
    )
    assert "Every size that was tried is enough, and none makes a request faster" in said
    assert "Look for a lock" in said
    assert "pool_size=" not in said
    assert "add larger ones" not in said
    (sentence,) = [each for each in headline_sentences(findings) if "elsewhere in the service" in each]
    assert "not tried" not in sentence


def test_of_pools_that_are_all_larger_the_advice_says_so(tmp_path: Path) -> None:
    """A smaller one than the smallest was not tried: that it would do is not said."""
    findings = measured(recorded(tmp_path, {"four": 4, "ten": 10, "fifty": 50}))
    sizing = sizing_curve(findings)
    assert sizing is not None
    assert sizing.why.endswith("smaller ones than 4 were not tried")


@pytest.mark.parametrize("why", ["they wait for the pool", "they are in the database", "all are out"])
def test_where_the_pool_or_the_database_is_what_takes_time_it_is_not_said(why: str, tmp_path: Path) -> None:
    """Requests that wait for a connection, that are in statements, or as many connections out as requests."""
    changes: dict[str, dict[str, float]] = {
        "they wait for the pool": {"waits_ms": 600.0},
        "they are in the database": {"held_ms": 900.0, "statements_ms": 800.0},
        "all are out": {"out": 4, "held_ms": 900.0},
    }
    findings = measured(recorded(tmp_path, {"five": 5, "ten": 10, "fifty": 50}, **changes[why]))  # type: ignore[arg-type]
    sizing = sizing_curve(findings)
    assert sizing is not None
    assert sizing.no_size is None
    assert not [
        said for said in headline_sentences(findings) if "wait elsewhere" in said or "in front of" in said
    ]


def test_one_arm_behind_a_lock_is_named_in_any_report(tmp_path: Path) -> None:
    """Without sizes to compare: that connections idle while requests wait, and that a larger pool is no help."""
    findings = measured(recorded(tmp_path, {"locked": 10}))
    (said,) = [each for each in headline_sentences(findings) if each.startswith("Requests of locked wait")]
    assert (
        "wait in front of their pool, not for it: never more than 1 of 10 connections was out while 4.0 "
        in said
    )
    assert "as behind a lock or a limit in the service; a larger pool changes nothing" in said
    assert "event loop" not in said


def test_a_loop_that_stands_still_is_said_as_well(tmp_path: Path) -> None:
    """Of the time outside, what the loop was late for is known."""
    findings = measured(recorded(tmp_path, {"locked": 10}, loop_ms=300.0))
    (said,) = [each for each in headline_sentences(findings) if each.startswith("Requests of locked wait")]
    assert "300 ms of it at least while the service's own event loop stood still" in " ".join(said.split())


def test_connections_that_are_out_now_and_then_are_behind_no_limit(tmp_path: Path) -> None:
    """A call to another service looks like that: one connection is out for a tenth of the time."""
    findings = measured(recorded(tmp_path, {"calling": 10}, held_ms=25.0, statements_ms=20.0))
    assert not [said for said in headline_sentences(findings) if "in front of" in said]


def test_a_pool_that_loses_connections_has_no_size(tmp_path: Path) -> None:
    """Waits in every pool, and connections that never come back: a larger one is lost as well, only later."""
    run = recorded(tmp_path, {"two": 2, "four": 4, "six": 6}, out=2, waits_ms=600.0)
    for arm in ("two", "four"):
        keep_one(run, arm, 3.0)
    findings = measured(run)
    sizing = sizing_curve(findings)
    assert sizing is not None
    assert (sizing.knee, sizing.no_size) == (None, NoSize.LOST)
    result = advise(run.folder, "--workers", "4")
    said = flat(result)
    assert result.exit_code == 3
    assert (
        "No pool size is enough. 1 connection that requests of two took from the pool in steady was never"
        in said
    )
    assert "No size is enough as long as connections are not given back" in said
    assert "add larger ones" not in said
    assert "pool_size=" not in said
    told = [each for each in headline_sentences(findings) if "never given back" in each]
    assert [each.split(" took")[0] for each in told] == [
        "1 connection that requests of two", "1 connection that requests of four",
    ]  # fmt: skip
    assert all("1 by POST /chat" in each and "Give each connection back" in each for each in told)
