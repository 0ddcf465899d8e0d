"""Connections that a proxy had forgotten: stale, in use, or ended by a strike."""

from __future__ import annotations

import pytest
from tests.measure.attribution_cases import (
    PORT,
    cut,
    explained,
    fails,
    forgotten,
    kills_of_plain,
    opened,
)
from tests.measure.recorded import CLOSED, RESET, Recorded

from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.model.attribution import Relation

FORGETS = "idle_reset"

run = pytest.fixture(name="run")(kills_of_plain)


def test_what_was_forgotten_before_it_was_handed_out_was_stale(run: Recorded) -> None:
    """Its socket looked alive, and the first byte was answered by RST: the proxy had given it up long before."""
    run.act("plain", "inject", FORGETS, 1, "steady")
    opened(run, 1.2)
    forgotten(run, 2.0, next_byte=2.521)
    fails(run, 2.5, RESET)
    ((failure, one),) = explained(run)
    assert (one.relation, one.fault, one.phase, one.episode) == (Relation.DIRECT, "idle_reset", "steady", 1)
    assert (failure.state, one.stage) == ("stale", RequestStage.STALE)
    assert (one.pre_ping, one.preventable) == (True, True)


def test_what_is_forgotten_while_a_request_holds_it_is_in_use(run: Recorded) -> None:
    """It was good when it was handed out, and forgotten between two statements: no ping at checkout could know."""
    run.act("plain", "inject", FORGETS, 1, "steady")
    opened(run, 1.2)
    forgotten(run, 2.515, next_byte=2.521)
    fails(run, 2.5, RESET)
    ((failure, one),) = explained(run)
    assert (failure.state, one.stage) == ("in use", RequestStage.BETWEEN)
    assert one.preventable is False


def test_a_strike_on_a_forgotten_link_is_the_strike(run: Recorded) -> None:
    """Forgotten, and then cut by the strike before anybody spoke: stale for both reasons, owed to what ended it."""
    run.act("plain", "inject", FORGETS, 1, "steady")
    opened(run, 1.2)
    run.proxy("link_forgotten", 2.0, arm="plain", port=PORT, toxic="idle_reset", reason="idle")
    cut(run, 5.003)
    fails(run, 5.2, CLOSED, dead_at_checkout=True, dead=True)
    ((failure, one),) = explained(run)
    assert (one.fault, failure.state) == ("socket_kill", "stale")
