"""What a failed request was about, from the times in its error line. Provoked for real in tests/pools."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenpipe.measure.failures.request_stage import Act, RequestPhase, act_of, request_phase

# A connection handed out at 100; a statement or commit that began at 200 and failed at 300.
IN_USE: dict[str, Any] = {"t": 300, "began": 200, "handed": 100, "dead_at_checkout": False, "dead": False}


def _phase(where: str, link_ended: int | None = None, **known: Any) -> RequestPhase:
    return request_phase(act_of({"where": where, **IN_USE, **known}), link_ended=link_ended)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("checkout", RequestPhase.POOL_WAIT),
        ("connect", RequestPhase.CONNECTING),
        ("ping", RequestPhase.PRE_PING),
        ("rollback", RequestPhase.ROLLBACK),
        ("statement", RequestPhase.MID_STATEMENT),
        ("commit", RequestPhase.COMMIT),
    ],
)
def test_where_it_failed_decides_while_the_connection_lives(where: str, expected: RequestPhase) -> None:
    """As long as the connection was alive when the act began, the act is the phase."""
    assert _phase(where, statement=2, transaction=1) is expected


def test_stale_is_the_first_statement_on_what_was_dead_when_handed_out() -> None:
    """Told by the socket at checkout, or by a link that the proxy saw end before it."""
    assert _phase("statement", statement=1, dead_at_checkout=True, dead=True) is RequestPhase.STALE
    assert _phase("statement", statement=1, link_ended=99) is RequestPhase.STALE
    assert _phase("statement", statement=1, link_ended=150) is RequestPhase.BETWEEN
    assert _phase("statement", statement=1, link_ended=250) is RequestPhase.MID_STATEMENT


@pytest.mark.parametrize("where", ["statement", "commit"])
def test_an_act_on_a_dead_connection_never_happened(where: str) -> None:
    """Dead at its beginning, by the socket or by the link: the end lies between statements; no COMMIT was sent."""
    assert _phase(where, statement=2, transaction=1, dead=True) is RequestPhase.BETWEEN
    assert _phase(where, statement=2, transaction=1, link_ended=199) is RequestPhase.BETWEEN
    assert _phase(where, statement=2, transaction=1, link_ended=201) is not RequestPhase.BETWEEN


def test_a_response_that_had_begun_comes_first() -> None:
    """The user has a status already, whatever failed then; an error before it does not count as that."""
    act = act_of({"where": "statement", **IN_USE, "statement": 2})
    assert request_phase(act, response_began=299) is RequestPhase.RESPONDING
    assert request_phase(act, response_began=301) is RequestPhase.MID_STATEMENT
    assert request_phase(None, response_began=1) is RequestPhase.RESPONDING


def test_what_is_not_there_may_be_there_as_null() -> None:
    """A reader that knows the shape of an act fills it up: what a request waits for has a begin all the same."""
    assert act_of({"act": "statement", "where": None, "began": None, "since": 7}).began == 7
    assert act_of({"where": "statement", "began": 5, "since": None}).began == 5


def test_a_history_of_before_is_not_known() -> None:
    """Without the socket's state and without the link nobody knows when the connection ended."""
    old = {"where": "commit", "t": 300, "dead_at_checkout": False, "statement": None, "port": 1}
    assert request_phase(act_of(old)) is RequestPhase.UNKNOWN
    assert request_phase(act_of({**old, "where": "connect"})) is RequestPhase.CONNECTING
    assert request_phase(None) is RequestPhase.UNKNOWN


_TIMES = st.none() | st.integers(0, 400)


@given(
    st.builds(
        Act, st.sampled_from(["checkout", "connect", "ping", "statement", "commit", "rollback", "lunch"]),
        t=_TIMES, began=_TIMES, handed=_TIMES, port=st.none(), dead_at_checkout=st.none() | st.booleans(),
        dead=st.none() | st.booleans(), statement=st.none() | st.integers(0, 3),
        transaction=st.none() | st.integers(0, 3),
    ),
    _TIMES,
    _TIMES,
)  # fmt: skip
def test_whatever_is_known_there_is_one_phase(act: Act, response: int | None, ended: int | None) -> None:
    """Any mixture of what a witness may have said has a phase; nobody sends a COMMIT on a dead socket."""
    found = request_phase(act, response_began=response, link_ended=ended)
    assert isinstance(found, RequestPhase)
    assert not (found is RequestPhase.COMMIT and act.dead)
