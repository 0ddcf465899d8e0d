"""What a failed request was about, from the times in its error line. Provoked for real in tests/pools."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenpipe.measure.failures.request_stage import DbOperation, RequestStage, operation_of, request_stage

# A connection handed out at 100; a statement or commit that began at 200 and failed at 300.
IN_USE: dict[str, Any] = {"t": 300, "began": 200, "handed": 100, "dead_at_checkout": False, "dead": False}


def _phase(where: str, link_ended: int | None = None, **known: Any) -> RequestStage:
    return request_stage(operation_of({"where": where, **IN_USE, **known}), link_ended=link_ended)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("checkout", RequestStage.POOL_WAIT),
        ("connect", RequestStage.CONNECTING),
        ("ping", RequestStage.PRE_PING),
        ("rollback", RequestStage.ROLLBACK),
        ("statement", RequestStage.MID_STATEMENT),
        ("commit", RequestStage.COMMIT),
    ],
)
def test_where_it_failed_decides_while_the_connection_lives(where: str, expected: RequestStage) -> None:
    """As long as the connection was alive when the act began, the act is the phase."""
    assert _phase(where, statement=2, transaction=1) is expected


def test_stale_is_the_first_statement_on_what_was_dead_when_handed_out() -> None:
    """Told by the socket at checkout, or by a link that the proxy saw end before it."""
    assert _phase("statement", statement=1, dead_at_checkout=True, dead=True) is RequestStage.STALE
    assert _phase("statement", statement=1, link_ended=99) is RequestStage.STALE
    assert _phase("statement", statement=1, link_ended=150) is RequestStage.BETWEEN
    assert _phase("statement", statement=1, link_ended=250) is RequestStage.MID_STATEMENT


@pytest.mark.parametrize("where", ["statement", "commit"])
def test_an_act_on_a_dead_connection_never_happened(where: str) -> None:
    """Dead at its beginning, by the socket or by the link: the end lies between statements; no COMMIT was sent."""
    assert _phase(where, statement=2, transaction=1, dead=True) is RequestStage.BETWEEN
    assert _phase(where, statement=2, transaction=1, link_ended=199) is RequestStage.BETWEEN
    assert _phase(where, statement=2, transaction=1, link_ended=201) is not RequestStage.BETWEEN


def test_a_response_that_had_begun_comes_first() -> None:
    """The user has a status already, whatever failed then; an error before it does not count as that."""
    act = operation_of({"where": "statement", **IN_USE, "statement": 2})
    assert request_stage(act, response_began=299) is RequestStage.RESPONDING
    assert request_stage(act, response_began=301) is RequestStage.MID_STATEMENT
    assert request_stage(None, response_began=1) is RequestStage.RESPONDING


def test_what_is_not_there_may_be_there_as_null() -> None:
    """A reader that knows the shape of an act fills it up: what a request waits for has a begin all the same."""
    assert operation_of({"act": "statement", "where": None, "began": None, "since": 7}).began == 7
    assert operation_of({"where": "statement", "began": 5, "since": None}).began == 5


def test_a_history_of_before_is_not_known() -> None:
    """Without the socket's state and without the link nobody knows when the connection ended."""
    old = {"where": "commit", "t": 300, "dead_at_checkout": False, "statement": None, "port": 1}
    assert request_stage(operation_of(old)) is RequestStage.UNKNOWN
    assert request_stage(operation_of({**old, "where": "connect"})) is RequestStage.CONNECTING
    assert request_stage(None) is RequestStage.UNKNOWN


_TIMES = st.none() | st.integers(0, 400)


@given(
    st.builds(
        DbOperation, st.sampled_from(["checkout", "connect", "ping", "statement", "commit", "rollback", "lunch"]),
        t=_TIMES, began=_TIMES, handed=_TIMES, port=st.none(), dead_at_checkout=st.none() | st.booleans(),
        dead=st.none() | st.booleans(), statement=st.none() | st.integers(0, 3),
        transaction=st.none() | st.integers(0, 3),
    ),
    _TIMES,
    _TIMES,
)  # fmt: skip
def test_whatever_is_known_there_is_one_phase(
    act: DbOperation, response: int | None, ended: int | None
) -> None:
    """Any mixture of what a witness may have said has a phase; nobody sends a COMMIT on a dead socket."""
    found = request_stage(act, response_began=response, link_ended=ended)
    assert isinstance(found, RequestStage)
    assert not (found is RequestStage.COMMIT and act.dead)
