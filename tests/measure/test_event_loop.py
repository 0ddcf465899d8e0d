"""A timer that fired late because the service's event loop stood still is the loop's, not the network's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.measure.attribution_cases import EXHAUSTED, of, opened
from tests.measure.recorded import RESET, Recorded, link
from tests.unit.plans import scenario

from brokenpipe.measure.model.attribution import Relation
from brokenpipe.measure.model.findings import Findings
from brokenpipe.report import texts
from brokenpipe.report.run import headline_sentences

CALM = {"name": "calm", "seconds": 10}
SLOW = {"name": "slow", "fault": {"name": "latency", "ms": 150}, "seconds": 10}
LIMIT = [link("builtins.TimeoutError"), link("asyncio.exceptions.CancelledError")]
CONNECT = [link("psycopg.errors.ConnectionTimeout", "connection timeout expired")]
IN_TIME = [link("psycopg_pool.PoolTimeout", "couldn't get a connection after 0.60 sec")]
PID = 77


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """A phase without a fault (0 to 10 s), one with 150 ms of latency (10 to 20 s); one process, always watched."""
    with Recorded(tmp_path / "run", scenario(CALM, SLOW, arms=("plain",))) as recorded:
        recorded.phase("calm", [(0, 5, None), (5, 10, None)])
        recorded.act("plain", "inject", "latency", 10, "slow")
        recorded.phase("slow", [(10, 15, None), (15, 20, None)])
        recorded.act("plain", "heal", "latency", 20, "slow")
        for second in range(20):
            loop_late(recorded, second + 0.9, 2)
        opened(recorded, 0.5)
        recorded.connect("plain", 0.5)
        recorded.requests("plain", [1, 2, 11, 12])
        yield recorded


def loop_late(run: Recorded, at: float, ms: float, pid: int = PID) -> None:
    """The loop's timer ran at that time, and so late."""
    run.witness("plain", k="loop", t=run.at(at), pid=pid, ms=ms)


def times_out(
    run: Recorded,
    at: float,
    took: float,
    chain: Any = LIMIT,
    where: str = "statement",
    after: float = 0.02,
    **error: Any,
) -> str:
    """A request whose act begins at that time, `after` its own start, and is given up by a timer of the service."""
    said = {
        "t": run.at(at + took), "began": run.at(at), "handed": run.at(at - 0.01), "where": where, "port": 40_000,
        "dead_at_checkout": False, "dead": False, "statement": 1, "transaction": 0, "pid": PID, "on_loop": True,
    }  # fmt: skip
    return run.request(
        "plain", at - after, (after + took + 0.01) * 1e3, errors=[{**said, "chain": chain, **error}]
    )


@pytest.mark.parametrize(
    ("chain", "where"),
    [(LIMIT, "statement"), (CONNECT, "connect"), (EXHAUSTED, "checkout"), (IN_TIME, "connect")],
    ids=["time limit", "connecting", "waiting for the pool", "a pool of psycopg's"],
)
def test_a_timer_that_fired_late_is_the_loops(run: Recorded, chain: Any, where: str) -> None:
    """Under a latency that could have been it, too: what was measured outranks what is reckoned."""
    loop_late(run, 12.85, 800)
    times_out(run, 12.04, 0.815, chain, where)
    (one,) = of(run)
    assert (one.relation, one.fault, one.standstill_s) == (Relation.SERVICE, "", 0.8)
    assert (one.pre_ping, one.recycle) == (False, False)


def test_a_latency_above_the_limit_needs_no_standstill(run: Recorded) -> None:
    """The same timer fired after 0.12 s elsewhere. An answer that is 150 ms late misses it without a standstill."""
    times_out(run, 11.04, 0.12)
    loop_late(run, 12.24, 200)
    times_out(run, 12.04, 0.21)
    first, second = of(run)
    assert (first.relation, first.fault) == (Relation.DIRECT, "latency")
    assert (second.relation, second.fault) == (Relation.DIRECT, "latency")


def test_a_latency_below_the_limit_leaves_it_to_the_standstill(run: Recorded) -> None:
    """Nothing shorter than 0.2 s is known to be that timer's limit, and 150 ms alone are less."""
    times_out(run, 11.04, 0.2)
    loop_late(run, 12.24, 200)
    times_out(run, 12.04, 0.21)
    assert [one.relation for one in of(run)] == [Relation.DIRECT, Relation.SERVICE]


def test_a_limit_of_a_whole_request_is_no_limit_of_its_last_operation(run: Recorded) -> None:
    """It had waited long before this operation began: how short that was says nothing of what a timer allows."""
    times_out(run, 11.04, 0.12, after=0.9)
    loop_late(run, 12.24, 200)
    times_out(run, 12.04, 0.21)
    assert [one.relation for one in of(run)] == [Relation.DIRECT, Relation.SERVICE]


@pytest.mark.parametrize(
    ("late_at", "ms", "why"),
    [
        (12.35, 200, "a third of the wait"),
        (12.95, 30, "no standstill"),
        (11.5, 800, "before it"),
        (12.6, 500, "the timer did not fire right after"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_timer_that_the_loop_did_not_delay_is_the_latencys(
    run: Recorded, late_at: float, ms: float, why: str
) -> None:
    """Too short, too early or long over: as before."""
    loop_late(run, late_at, ms)
    times_out(run, 12.04, 0.6 if why == "a third of the wait" else 0.8)
    (one,) = of(run)
    assert (one.relation, one.fault) == (Relation.DIRECT, "latency"), why


def test_a_connection_that_was_given_up_in_a_standstill(run: Recorded) -> None:
    """Who fails to connect in its place owes that to the loop, though a latency made connecting slow; so does the next.

    Once somebody has connected, what fails to connect fails by the latency alone.
    """
    loop_late(run, 12.85, 800)
    request = times_out(run, 12.04, 0.815)
    run.close("plain", 12.86, after="cancelled", dead=False, id=request)
    for at in (13.0, 14.0):
        fails_to_connect(run, at)
    run.witness("plain", k="connect", t=run.at(15.5), port=40_001, ms=400, id="User-77")
    fails_to_connect(run, 16.0)
    assert [(one.relation, one.fault, one.standstill_s) for one in of(run)] == [
        (Relation.SERVICE, "", 0.8), (Relation.SERVICE, "", None), (Relation.SERVICE, "", None),
        (Relation.DIRECT, "latency", None),
    ]  # fmt: skip


def test_a_standstill_in_the_lead_in_empties_a_pool_as_well(tmp_path: Path) -> None:
    """What was given up before the phase counts is paid for by requests that do count."""
    with Recorded(tmp_path / "run", scenario(CALM, SLOW, arms=("plain",))) as run:
        run.phase("calm", [(0, 5, None)])
        run.act("plain", "inject", "latency", 8, "slow")
        run.phase("slow", [(10, 15, None), (15, 20, None)])
        run.act("plain", "heal", "latency", 20, "slow")
        opened(run, 0.5)
        run.connect("plain", 0.5)
        run.requests("plain", [1, 2, 11, 12])
        loop_late(run, 9.85, 800)
        request = times_out(run, 9.04, 0.815)
        run.close("plain", 9.86, after="cancelled", dead=False, id=request)
        fails_to_connect(run, 11.0)
        assert [one.relation for one in of(run)] == [Relation.SERVICE]


def fails_to_connect(run: Recorded, at: float) -> None:
    request = times_out(run, at, 0.6, CONNECT, "connect", port=None)
    run.witness("plain", k="connect_failed", t=run.at(at + 0.6), ms=600, id=request, chain=CONNECT)


def test_a_thread_is_not_judged_by_the_loop(run: Recorded) -> None:
    """A driver's own limit in a worker thread runs on while the loop stands still."""
    loop_late(run, 12.85, 800)
    times_out(run, 12.04, 0.815, CONNECT, "connect", on_loop=False)
    assert [one.relation for one in of(run)] == [Relation.DIRECT]


def test_another_process_is_none_of_its_own(run: Recorded) -> None:
    """Two workers: the loop of the one stood still, the request was the other's."""
    loop_late(run, 12.85, 800, pid=78)
    times_out(run, 12.04, 0.815)
    assert [one.relation for one in of(run)] == [Relation.DIRECT]


def test_a_reset_is_no_timer(run: Recorded) -> None:
    """A connection that died meanwhile did not die of the loop."""
    loop_late(run, 12.85, 800)
    times_out(run, 12.04, 0.815, RESET)
    assert [one.relation for one in of(run)] == [Relation.UNATTRIBUTED]


def test_silence_is_enough_by_itself(tmp_path: Path) -> None:
    """In a black hole nothing would have come, however well the loop ran."""
    silent = {"name": "silent", "fault": {"name": "black_hole"}, "seconds": 10}
    with Recorded(tmp_path / "run", scenario(silent, arms=("plain",))) as run:
        run.act("plain", "inject", "black_hole", 0, "silent")
        run.phase("silent", [(0, 5, None), (5, 10, None)])
        opened(run, 0.5)
        loop_late(run, 2.85, 800)
        times_out(run, 2.04, 0.815)
        assert [(one.relation, one.fault) for one in of(run)] == [(Relation.DIRECT, "black_hole")]


def test_a_user_who_waits_for_a_loop_that_stands_still(run: Recorded) -> None:
    """No answer in time, without a word of the request itself: the only process stood still for most of the wait."""
    loop_late(run, 3.9, 800)
    run.request("plain", 3.0, 1000, status=0, failure="timeout")
    run.request("plain", 5.0, 1000, status=0, failure="timeout")
    assert [one.relation for one in of(run)] == [Relation.SERVICE, Relation.UNKNOWN]


def _measured(run: Recorded) -> Findings:
    run.finish()
    return run.measured()


def test_the_report_says_so(run: Recorded) -> None:
    """The group of the failures and the sentences below the verdict name the loop, and for how long it stood."""
    loop_late(run, 12.85, 800)
    times_out(run, 12.04, 0.815)
    found = _measured(run)
    (group,) = found.failures
    assert group.attribution is not None
    said = texts.describe_attribution(group.attribution)
    assert "1 caused by the service's own event loop, which stood still" in said
    assert "stood still for up to 0.8 s" in said
    assert "latency" not in said
    told = " ".join(headline_sentences.headline_sentences(found))
    assert "1 failed because the service's own event loop stood still" in told
    assert "for up to 0.8 s in plain" in told
    assert (found.cell("plain", "calm").loop_lag_ms, found.cell("plain", "slow").loop_lag_ms) == (2, 800)


def test_a_loop_that_stands_still_is_no_doubt(run: Recorded) -> None:
    """It is the service's fault, and a fact: nothing becomes unknown by it."""
    before = {warning.code for warning in _measured(run).warnings}
    loop_late(run, 12.85, 800)
    assert {warning.code for warning in run.measured().warnings} == before


def test_what_nobody_watched_is_not_known(tmp_path: Path) -> None:
    """A service without a loop, or a history of before: not known, and not zero."""
    with Recorded(tmp_path / "run", scenario(CALM, arms=("plain",))) as run:
        run.phase("calm", [(0, 5, None), (5, 10, None)])
        run.requests("plain", [1, 2])
        assert _measured(run).cell("plain", "calm").loop_lag_ms is None
