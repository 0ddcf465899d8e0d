"""Which class an exception is: chains as drivers raised them, most of them recorded by the witness.

Recorded with SQLAlchemy 2.1, asyncpg 0.32, psycopg 3.3 against PostgreSQL 17; those of psycopg2 and TLS from the
drivers' documentation and sources. Texts change between versions: each chain with evidence besides its text is
also classified without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.exception_chains import ALL, BY_EVIDENCE

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.error_classes import ChainedException as Raised
from brokenpipe.measure.failures.error_classes import chain_of, classify

# By what the client met, or (dead connections) by what the pool was at: tests/measure/test_pool_errors.py.
WITHOUT_A_CHAIN = {
    ErrorClass.TIMEOUT,
    ErrorClass.TRANSPORT,
    ErrorClass.WRONG_RESULT,
    ErrorClass.DEAD_CONNECTIONS,
}


@pytest.mark.parametrize(("what", "chain", "expected"), ALL, ids=[what for what, _, _ in ALL])
def test_a_chain_has_its_class(what: str, chain: Sequence[Raised], expected: ErrorClass) -> None:
    """One failure of the wire, one class, whichever driver met it."""
    assert classify(chain) is expected


@pytest.mark.parametrize(("what", "chain", "expected"), BY_EVIDENCE, ids=[what for what, _, _ in BY_EVIDENCE])
def test_wording_does_not_matter(what: str, chain: Sequence[Raised], expected: ErrorClass) -> None:
    """Where there is other evidence, the class stays the same when a new version says it in other words."""
    assert classify([replace(link, text="something went wrong") for link in chain]) is expected


def test_every_class_can_be_reached() -> None:
    """The closed list of causes holds none that nothing leads to."""
    assert {expected for _, _, expected in ALL} | WITHOUT_A_CHAIN == set(ErrorClass)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.text(max_size=20)
                | st.sampled_from([link.type for _, chain, _ in ALL for link in chain]),
                "text": st.none() | st.text(max_size=30),
                "sqlstate": st.none() | st.text(max_size=5),
                "errno": st.none() | st.integers(-200, 200),
                "invalidated": st.none() | st.booleans(),
            },
        ),
        max_size=5,
    )
)
def test_any_chain_has_a_class(raw: list[dict[str, object]]) -> None:
    """Whatever a witness wrote is classified: unexplained only if it wrote nothing."""
    found = classify(chain_of(raw))
    assert (found is ErrorClass.UNEXPLAINED) is (raw == [])


@given(st.sampled_from([chain for _, chain, _ in ALL if chain]))
def test_an_applications_own_exception_around_it_changes_nothing(chain: Sequence[Raised]) -> None:
    """Services wrap errors in their own; the cause is further in."""
    expected = classify(chain)
    assert classify([Raised("service.errors.StorageError", "could not store"), *chain]) is expected
