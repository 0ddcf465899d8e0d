"""Connections that ended with the first byte after a rest: stale, in use, or not to be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.measure.attribution_cases import PORT, cut, explained, fails, opened
from tests.measure.recorded import RESET, Recorded, link
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.attribution import Relation

SHUTDOWN = [link("psycopg.errors.AdminShutdown", "terminating connection", sqlstate="57P01")]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """A calm phase of two blocks (0 to 4 s), then two kills of plain (at 5 s and 6 s, in episodes of one second)."""
    with Recorded(tmp_path / "run", scenario(STEADY, KILL)) as recorded:
        calm_and_kill(recorded)
        yield recorded


def calm_and_kill(recorded: Recorded) -> None:
    recorded.phase("steady", [(0, 2, None), (2, 4, None)])
    recorded.phase("kill", [(4.5, 5.5, 5.0), (5.5, 6.5, 6.0)])
    for n, at in enumerate((5.0, 6.0)):
        recorded.act("plain", "inject", "socket_kill", at, "kill", n)
    recorded.requests("plain", [9])
    recorded.finish()


def forgets(run: Recorded, at: float, **error: Any) -> None:
    """A request whose first statement is answered by the end, 1 ms after it began, from behind the proxy."""
    port = PORT + round(100 * at)
    opened(run, at - 1.5, port)
    run.proxy("link_ended", at + 0.021, arm="plain", port=port, ender="server")
    fails(run, at, **{"chain": RESET, "rest_ms": 1200.0, "port": port, **error})


def pings(run: Recorded, at: float, *, dead: bool | None = False, arm: str = "pre_ping") -> None:
    """A ping that failed, on a socket that looked alive or dead when it began."""
    run.witness(arm, k="ping_failed", t=run.at(at), port=PORT + 9, id="User-99", ms=1.0, dead=dead)


def cell(run: Recorded, phase: str = "steady") -> ArmPhaseStats:
    """What plain did in a phase, measured with a witness in both arms."""
    times = {"t0": run.at(0.1), "t": run.at(0.3), "requests": 1, "checkouts": 1, "pings": 0, "ping_ms": 0.0}
    run.witness("plain", k="tally", **times)
    run.connect("plain", 0.1)
    run.connect("pre_ping", 0.1)
    return run.measured().cell("plain", phase)


def test_the_first_use_after_a_rest_cannot_be_told(run: Recorded) -> None:
    """Nothing of ours ended it, and nobody can say that it lived when it was handed out: neither stale nor in use."""
    forgets(run, 2.5)
    ((failure, one),) = explained(run)
    assert (failure.state, one.stage, one.relation) == (
        "after rest",
        RequestStage.AFTER_REST,
        Relation.UNATTRIBUTED,
    )
    assert (one.pre_ping, one.recycle, one.preventable) == (None, None, None)


def test_it_is_counted_by_itself_with_its_rest(run: Recorded) -> None:
    """Broken is stale, in use, after a rest and elsewhere together; the shortest and the longest rest are told."""
    forgets(run, 2.5)
    forgets(run, 3.2, rest_ms=800.0)
    told = cell(run)
    assert (told.broken, told.stale, told.in_use, told.after_rest, told.elsewhere) == (2, 0, 0, 2, 0)
    assert told.rest_s == (0.8, 1.2)


DIED_IN_USE: tuple[dict[str, Any], ...] = (
    {"rest_ms": None},  # histories of before
    {"rest_ms": 20.0},  # a pool under load
    {"statement": 2},
    {"transaction": 1},
    {"chain": SHUTDOWN},  # the server has said why: it was there to say it
    {"began_s_ago": 1.1},  # the statement had run for 1.1 s
)


def test_in_use_stays_in_use(run: Recorded) -> None:
    """What did not end with the first byte after a rest, or with a reason, died under its request."""
    for n, error in enumerate(DIED_IN_USE):
        at = 1.7 + 0.4 * n
        if "began_s_ago" in error:
            error = {"began": run.at(at - error["began_s_ago"]), "handed": run.at(at - 1.2)}  # noqa: PLW2901
        forgets(run, at, **error)
    assert [failure.state for failure, _ in explained(run)] == ["in use"] * len(DIED_IN_USE)


def test_a_busy_service_hears_late_of_it(run: Recorded) -> None:
    """400 ms after its first byte it heard of the end: that does not show that the connection carried it."""
    forgets(run, 2.5, began=run.at(2.12), handed=run.at(2.11))
    ((failure, _),) = explained(run)
    assert failure.state == "after rest"


@pytest.mark.parametrize("known", [True, False], ids=["its link is known", "a relay before the proxy"])
def test_a_strike_on_a_first_statement_is_in_use(run: Recorded, known: bool) -> None:
    """It had rested and was in its first statement when the strike came: the strike did it, not the rest."""
    if known:
        opened(run, 1)
        cut(run, 5.003)
    fails(run, 4.98, RESET, rest_ms=1200.0)
    ((failure, _),) = explained(run)
    assert failure.state == "in use"


def test_a_session_ended_in_its_first_statement_is_in_use(run: Recorded) -> None:
    """A fault at the server that ends sessions was there: its link was ended by the server for that."""
    run.act("plain", "inject", "backend_kill", 2.519, "steady", 1)
    forgets(run, 2.5)
    ((failure, one),) = explained(run)
    assert (failure.state, one.fault) == ("in use", "backend_kill")


def test_without_a_link_the_error_tells_when_it_ended(run: Recorded) -> None:
    """Behind a relay of one's own the proxy knows other ports: the error came 10 ms after the first byte."""
    opened(run, 1, PORT + 5)
    fails(run, 2.5, RESET, rest_ms=1200.0)
    ((failure, _),) = explained(run)
    assert failure.state == "after rest"


def test_pings_of_another_arm_prove_that_it_was_stale(run: Recorded) -> None:
    """In the same episode a ping failed on a socket that looked alive, and nothing of that arm broke in the phase."""
    forgets(run, 2.5)
    pings(run, 2.6)
    run.requests("pre_ping", [2.6])
    told = cell(run)
    assert (told.stale, told.in_use, told.after_rest) == (1, 0, 0)
    assert told.attribution is not None
    assert (told.attribution.preventable, told.attribution.by_stage) == (1, {RequestStage.STALE: 1})


@pytest.mark.parametrize(
    "why_not", ["another episode", "a dead socket", "not recorded", "it broke as well", "itself"]
)
def test_pings_that_prove_nothing(run: Recorded, why_not: str) -> None:
    """Found dead by its socket, in another episode, in an arm that broke as well: the question stays open."""
    forgets(run, 2.5)
    run.requests("pre_ping", [2.6])
    if why_not == "another episode":
        pings(run, 1.0)
    elif why_not == "it broke as well":
        pings(run, 2.6)
        error = {"t": run.at(2.8), "where": "statement", "port": 1, "dead_at_checkout": False, "chain": RESET}
        run.request("pre_ping", 2.7, errors=[error])
    elif why_not == "itself":
        pings(run, 2.6, arm="plain")
    else:
        pings(run, 2.6, dead=True if why_not == "a dead socket" else None)
    told = cell(run)
    assert (told.stale, told.after_rest) == (0, 1)


def test_an_arm_that_met_no_fault_proves_nothing(tmp_path: Path) -> None:
    """The fault of this phase happens to plain alone: what pings met elsewhere was something else."""
    slow = {"name": "slow", "fault": {"name": "latency", "ms": 2}, "seconds": 4, "arms": ["plain"]}
    with Recorded(tmp_path / "some", scenario(slow)) as run:
        run.phase("slow", [(0, 2, None), (2, 4, None)])
        run.requests("plain", [9])
        run.finish()
        forgets(run, 2.5)
        pings(run, 2.6)
        assert cell(run, "slow").after_rest == 1


@pytest.mark.parametrize(("deaths", "state"), [(12, "after_rest"), (2, "in_use")])
def test_an_arm_that_pings_and_breaks_less_contradicts(run: Recorded, deaths: int, state: str) -> None:
    """In a history without rests, plain broke 12 in use and an arm that pings none of as many: it cannot be told.

    Two against none may be chance, and stays what the socket said.
    """
    for n in range(deaths):
        forgets(run, 2.5 + n / 10, rest_ms=None)
    pings(run, 2.6, dead=None)
    run.requests("pre_ping", [2.5 + n / 10 for n in range(deaths)])
    told = cell(run)
    assert {"after_rest": told.after_rest, "in_use": told.in_use}[state] == deaths


@pytest.mark.parametrize("known", [True, False])
def test_recycling_a_forgotten_connection_masks_a_death(run: Recorded, known: bool) -> None:
    """Its socket looked alive when the pool closed it for its age; the proxy had given it up, or had not."""
    opened(run, 1)
    if known:
        run.proxy("link_forgotten", 2.0, arm="plain", port=PORT, toxic="idle_reset", reason="idle")
    run.close("plain", 2.5, dead=False, recycle_ms=400.0)
    run.close("plain", 2.6, dead=False, recycle_ms=400.0, port=PORT + 1)
    masked = cell(run).masked
    assert masked is not None
    assert masked.recycle == int(known)
