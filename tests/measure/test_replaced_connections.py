"""A request that gives up while its pool replaces dead connections one by one: what ended those is the cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.measure.attribution_cases import cut, fails, kills_of_plain, of, opened
from tests.measure.recorded import Recorded, link

from brokenpipe.measure.model.attribution import Relation

GAVE_UP = [link("asyncio.exceptions.CancelledError")]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Kills at 5 s and 6 s; a connection that the first has ended, and another that nothing has."""
    for recorded in kills_of_plain(tmp_path):
        opened(recorded, 1)
        opened(recorded, 1, 40_001)
        recorded.connect("plain", 1)
        recorded.witness("plain", k="connect", t=recorded.at(1), port=40_001, ms=5.0)
        cut(recorded, 5)
        yield recorded


def waits(run: Recorded, at: float) -> str:
    return fails(run, at, GAVE_UP, where="checkout", port=None, handed=None, statement=None, dead=None)


def test_what_ended_those_is_the_cause(run: Recorded) -> None:
    """The pool found it on behalf of this request, before it gave up in the pause that followed."""
    request = waits(run, 5.2)
    run.close("plain", 5.21, after="ping", id=request)
    (cause,) = of(run)
    assert (cause.relation, cause.fault, cause.episode) == (Relation.COLLATERAL, "socket_kill", 0)


def test_another_requests_are_not(run: Recorded) -> None:
    """Nor is one that was closed without having been found dead by a test, or that no fault had ended."""
    request = waits(run, 5.2)
    run.close("plain", 5.21, after="ping", id="somebody else's")
    run.close("plain", 5.22, after=None, id=request)
    run.close("plain", 5.23, after="ping", id=request, port=40_001)
    (cause,) = of(run)
    assert cause.relation is Relation.UNATTRIBUTED
