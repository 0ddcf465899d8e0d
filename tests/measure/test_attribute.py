"""What failed requests are owed to, on histories in which each cause was planted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from tests.measure.attribution_cases import (
    CANCELLED,
    EXHAUSTED,
    PORT,
    cut,
    explained,
    fails,
    found,
    kills_of_plain,
    of,
    opened,
)
from tests.measure.recorded import CLOSED, REFUSED, RESET, Recorded, link

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import open_history
from brokenpipe.measure.attribution.refused_connects import reclassify_refused_connects
from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.failures.root_cause import failures
from brokenpipe.measure.model.attribution import Relation
from brokenpipe.measure.tables.requests import create_request_tables

run = pytest.fixture(name="run")(kills_of_plain)

ENDED = [link("psycopg.OperationalError", "server closed the connection unexpectedly")]


@pytest.mark.parametrize(
    ("began", "came", "called"),
    [
        (5.7, None, ErrorClass.REFUSED),
        (4.7, None, ErrorClass.CONNECT_TIMEOUT),  # no refusal takes a second
        (5.7, 5.71, ErrorClass.EOF),  # somebody was accepted, and it may have been this one
    ],
)
def test_an_end_of_what_was_never_accepted(
    run: Recorded, began: float, came: float | None, called: ErrorClass
) -> None:
    """psycopg calls a late refusal the end of a connection; if the proxy has let nobody in, it was none."""
    opened(run, 1)
    if came:
        opened(run, came, PORT + 1)
    fails(run, 5.7, ENDED, where="connect", port=None, began=run.at(began))
    with open_history(run.folder) as history:
        create_request_tables(history, limit_s=1)
        (one,) = reclassify_refused_connects(history, failures(history))
    assert (one.error_class, one.broken) == (called, False)


def test_without_a_log_of_links_an_end_stays_an_end(run: Recorded) -> None:
    """Nobody knows then who was let in."""
    fails(run, 5.7, ENDED, where="connect", port=None)
    with open_history(run.folder) as history:
        create_request_tables(history, limit_s=1)
        (one,) = reclassify_refused_connects(history, failures(history))
    assert one.error_class is ErrorClass.EOF


def test_a_cut_link_is_direct_proof(run: Recorded) -> None:
    """Cut while it was used: owed to that strike, in its episode, and nothing in a pool helps."""
    opened(run, 1)
    fails(run, 5.985, RESET)  # handed out at 5.995, fails at 6.015
    cut(run, 6.003)
    (one,) = of(run)
    assert (one.relation, one.fault, one.phase, one.episode) == (Relation.DIRECT, "socket_kill", "kill", 1)
    assert (one.pre_ping, one.recycle, one.preventable) == (False, None, False)
    assert one.evidence == "link"


def test_a_strike_of_the_episode_before(run: Recorded) -> None:
    """Dead in the pool since the first strike, found in the second episode: the first one did it; a ping would help."""
    opened(run, 1)
    cut(run, 5.003)
    fails(run, 5.7, CLOSED, dead_at_checkout=True, dead=True)
    (one,) = of(run)
    assert (one.relation, one.episode, one.pre_ping, one.preventable) == (Relation.DIRECT, 0, True, True)


def test_age_counts_only_above_the_shortest_recycle(run: Recorded) -> None:
    """An arm recycles after 3 s: one that was 4.7 s old at its checkout would have been replaced, one of 1 s not."""
    run.close("pre_ping", 1, recycle_ms=3000, dead=False)
    opened(run, 1)
    opened(run, 4.7, PORT + 1)
    cut(run, 5.003)
    cut(run, 5.003, port=PORT + 1)
    fails(run, 5.69, CLOSED, dead_at_checkout=True)
    fails(run, 5.692, CLOSED, dead_at_checkout=True, port=PORT + 1)
    assert [one.recycle for one in of(run)] == [True, False]


def test_a_port_is_another_link_after_it_was_opened_again(run: Recorded) -> None:
    """The port of a link that was cut is used again: its new link was not, and its failure is owed to nothing."""
    opened(run, 1)
    cut(run, 5.003)
    opened(run, 5.4)
    fails(run, 5.7, RESET)
    (one,) = of(run)
    assert (one.relation, one.fault, one.preventable) == (Relation.UNATTRIBUTED, "", None)


@pytest.mark.parametrize("action", ["renew", "clear"])
def test_our_own_kill_between_phases_is_not_the_fault(run: Recorded, action: str) -> None:
    """What the harness renewed before the phase, or cleared away in histories of before, is not blamed on its fault."""
    run.act("plain", action, None, 4.2, "kill")
    opened(run, 1)
    cut(run, 4.203)
    fails(run, 4.6, CLOSED, dead_at_checkout=True)
    (one,) = of(run)
    assert one.fault == "the harness, between phases"


def test_an_error_of_its_own_is_not_blamed_on_a_fault_that_is_there(run: Recorded) -> None:
    """A statement that its user cancels in the very moment of a strike, on a link that lives, is owed to nothing."""
    opened(run, 1)
    fails(run, 5.98, CANCELLED)
    (one,) = of(run)
    assert (one.relation, one.preventable) == (Relation.UNATTRIBUTED, None)


MANY = [link("asyncpg.exceptions.TooManyConnectionsError", "too many clients", sqlstate="53300")]


def fails_to_connect(run: Recorded, at: float) -> str:
    request = fails(run, at, MANY, "connect", port=None, handed=None)
    run.witness("plain", k="connect_failed", t=run.at(at + 0.03), ms=20, id=request, chain=MANY)
    return request


def test_having_to_connect_for_a_sister_is_collateral(run: Recorded) -> None:
    """The pool gave up its connections because the strike had cut one, and what took the place of another failed.

    So did who tried again; once it has succeeded, nothing is owed any more, and the pool's growth is its own affair.
    """
    opened(run, 1, PORT + 1)
    cut(run, 5.003, port=PORT + 1)
    run.witness("plain", k="invalidate", t=run.at(5.1), port=PORT + 1, soft=False, id="User-9")
    close = {"port": PORT + 2, "age_ms": 9, "recycle_ms": None, "dead": False, "after": None}
    request = fails_to_connect(run, 5.2)
    run.witness("plain", k="close", t=run.at(5.21), id=request, pool_invalidated=True, **close)
    fails_to_connect(run, 5.25)
    run.witness("plain", k="connect", t=run.at(5.3), port=PORT + 3, ms=9, id="User-77")
    fails_to_connect(run, 5.4)
    first, again, later = of(run)
    assert (first.relation, first.fault, first.episode) == (Relation.COLLATERAL, "socket_kill", 0)
    assert again == first
    assert later.relation is Relation.UNATTRIBUTED


def test_silence_ends_a_connection_as_well(run: Recorded) -> None:
    """Forgotten before it was handed out: its first statement met a stale connection, though the socket lives."""
    run.act("plain", "inject", "idle_drop", 1, "steady")
    opened(run, 0.5)
    run.proxy("link_silenced", 2.0, arm="plain", port=PORT, toxic="idle_drop", reason="idle")
    fails(run, 2.5, [link("builtins.TimeoutError")])
    (one,) = of(run)
    assert (one.relation, one.fault) == (Relation.DIRECT, "idle_drop")
    assert one.stage is RequestStage.STALE
    assert one.preventable is False  # a ping would hang as well


def test_waiting_behind_others_that_hang_is_secondary(run: Recorded) -> None:
    """The pool is exhausted because another request hangs on a silenced link; without that it is owed to nothing."""
    run.act("plain", "inject", "idle_drop", 1, "steady")
    opened(run, 0.5, PORT + 1)
    run.proxy("link_silenced", 2.2, arm="plain", port=PORT + 1, toxic="idle_drop", reason="idle")
    stall = {"act": "statement", "since": run.at(2.3), "port": PORT + 1, "id": "User-77"}
    run.witness("plain", k="stall", t=run.at(2.8), **stall)
    run.act("plain", "heal", "idle_drop", 2.4, "steady")
    fails(run, 3.1, EXHAUSTED, "checkout", port=None, handed=None)
    (one,) = of(run)
    assert (one.relation, one.fault, one.phase, one.episode) == (Relation.SECONDARY, "idle_drop", "steady", 1)


def test_an_exhausted_pool_without_a_fault_is_owed_to_nothing(run: Recorded) -> None:
    """Too many requests for too small a pool, in a calm phase."""
    opened(run, 0.1, PORT + 1)
    fails(run, 3.1, EXHAUSTED, "checkout", port=None, handed=None)
    assert [one.relation for one in of(run)] == [Relation.UNATTRIBUTED]


def test_refused_while_the_proxy_refuses(run: Recorded) -> None:
    """No link is there to tell; the fault was, and it makes just this. After it was healed, it does not."""
    run.act("plain", "inject", "refuse", 1, "steady")
    run.act("plain", "heal", "refuse", 2, "steady")
    opened(run, 0.1, PORT + 1)
    fails(run, 1.5, REFUSED, "connect", port=None, handed=None)
    fails(run, 2.5, REFUSED, "connect", port=None, handed=None)
    first, second = of(run)
    assert (first.relation, first.fault, first.preventable) == (Relation.DIRECT, "refuse", False)
    assert second.relation is Relation.UNATTRIBUTED


@pytest.mark.parametrize(
    ("chain", "where"),
    [
        (CANCELLED, "statement"),  # a statement limit of the service's own, which goes on counting in a pause
        ([link("psycopg.errors.ConnectionTimeout", "connection timeout expired")], "connect"),
        (RESET, "statement"),  # no pause ends a connection
    ],
)
def test_what_a_server_that_stands_still_makes(run: Recorded, chain: Any, where: str) -> None:
    """Whoever waits for it in vain owes that to it, though no link was cut or silenced; whoever was ended does not."""
    run.act("plain", "inject", "server_pause", 1, "steady")
    run.act("plain", "heal", "server_pause", 2, "steady")
    opened(run, 0.5)
    fails(run, 1.5, chain, where)
    (owed,) = of(run)
    assert owed.fault == ("" if chain is RESET else "server_pause")
    assert owed.relation is (Relation.UNATTRIBUTED if chain is RESET else Relation.DIRECT)


def test_what_went_wrong_afterwards_does_not_hide_what_a_user_waited_for(run: Recorded) -> None:
    """Given up in the pool's queue: that the service got a connection later, and failed with it, changes nothing."""
    run.act("plain", "inject", "server_pause", 0.5, "steady")
    run.act("plain", "heal", "server_pause", 2.9, "steady")
    error = {"where": "statement", "t": run.at(3.1), "began": run.at(3.0), "port": PORT, "chain": RESET}
    request = run.request("plain", 1.0, 1000, failure="timeout", errors=[error])
    run.witness("plain", k="stall", t=run.at(1.6), id=request, act="checkout", since=run.at(1.05), port=None)
    (one,) = of(run)
    assert (one.relation, one.fault, one.stage) == (
        Relation.SECONDARY,
        "server_pause",
        RequestStage.POOL_WAIT,
    )


def test_what_began_in_a_fault_and_ended_after_it_is_owed_to_it(run: Recorded) -> None:
    """Begun in the last block of a silence, ended by its healing after that block: direct, and of that block."""
    run.act("plain", "inject", "black_hole", 0.1, "steady")
    opened(run, 0.05)
    run.proxy("link_silenced", 0.102, arm="plain", port=PORT, toxic="black_hole", reason="swallowed")
    run.act("plain", "heal", "black_hole", 4.0, "steady")
    cut(run, 4.003, toxic="black_hole")
    said = {"where": "statement", "port": PORT, "dead_at_checkout": False, "dead": False, "statement": 1}
    times = {"t": run.at(4.01), "began": run.at(3.6), "handed": run.at(3.59)}
    run.request("plain", 3.5, 520, errors=[{**said, **times, "transaction": 0, "chain": RESET}])
    (one,) = of(run)
    assert (one.relation, one.fault, one.phase, one.episode) == (Relation.DIRECT, "black_hole", "steady", 1)


@pytest.mark.parametrize(("told", "tie"), [(4.2, Relation.SECONDARY), (3.9, Relation.UNATTRIBUTED)])
def test_waiting_behind_those_who_hang_on_after_the_healing(
    run: Recorded, told: float, tie: Relation
) -> None:
    """Packets come late after a loss. To wait for a connection of those who still hang is owed to it, else to none."""
    run.act("plain", "inject", "packet_drop", 1, "steady")
    run.act("plain", "heal", "packet_drop", 3.0, "steady")
    opened(run, 0.5, PORT + 1)
    stall = {"act": "statement", "since": run.at(2.3), "port": PORT + 1, "id": "User-77"}
    run.witness("plain", k="stall", t=run.at(told), **stall)
    error = {"where": "checkout", "t": run.at(4.4), "began": run.at(3.95), "port": None, "chain": EXHAUSTED}
    run.request("plain", 3.9, 510, errors=[error])
    (one,) = of(run)
    assert (one.relation, one.fault) == (tie, "packet_drop" if tie is Relation.SECONDARY else "")


def test_a_history_without_links_goes_by_time_and_says_so(run: Recorded) -> None:
    """Stale after a strike: that one. In use with no strike meanwhile: without its link nobody can tell."""
    fails(run, 5.7, CLOSED, dead_at_checkout=True)
    fails(run, 5.2, RESET)
    second, first = of(run)
    assert (first.relation, first.fault, first.episode, first.evidence) == (
        Relation.DIRECT,
        "socket_kill",
        0,
        "time alone",
    )
    assert second.relation is Relation.UNKNOWN


def test_where_the_pool_pings_a_ping_has_not_helped(run: Recorded) -> None:
    """It was alive when it was pinged, and dead when it was handed out: nobody prevents that by pinging."""
    opened(run, 1)
    cut(run, 5.003)
    pinged = {
        "k": "tally",
        "t0": run.at(1),
        "t": run.at(2),
        "requests": 9,
        "checkouts": 9,
        "pings": 9,
        "ping_ms": 9.0,
    }
    run.witness("plain", **pinged)
    fails(run, 5.2, CLOSED, dead_at_checkout=True, dead=True)
    assert [one.pre_ping for one in of(run)] == [False]


def test_the_proxy_knows_first(run: Recorded) -> None:
    """Its link was cut before it was handed out, though its socket had not heard of that yet: it was stale."""
    opened(run, 5.0)
    cut(run, 5.203)
    fails(run, 5.2, CLOSED)
    ((one, _),) = explained(run)
    assert ([failure.state for failure in found(run)], one.state) == (["in use"], "stale")


def test_a_stall_that_is_over_is_no_moment(run: Recorded) -> None:
    """It had waited long for its connection, got it, and failed by itself later on: not while connecting."""
    request = run.request("plain", 1.0, 900, status=500, failure="status")
    run.witness("plain", k="stall", t=run.at(1.6), id=request, act="connect", since=run.at(1.05), port=None)
    times = {"t0": run.at(1.0), "t1": run.at(1.9), "status": None, "failed": True}
    raised = [link("builtins.KeyError")]
    run.witness(
        "plain", k="request", id=request, checkouts=[], errors=[], raised=raised, waiting=None, **times
    )
    assert [one.stage for one in of(run)] == [RequestStage.UNKNOWN]
