"""A service whose last connection a fault has ended: those who wait for one wait because of it, until one is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.measure.attribution_cases import cut, fails, kills_of_plain, of, opened
from tests.measure.recorded import Recorded, link

from brokenpipe.measure.model.attribution import Relation

TIMEOUT = [link("psycopg_pool.PoolTimeout", "couldn't get a connection after 1.00 sec")]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """Kills at 5 s and 6 s."""
    yield from kills_of_plain(tmp_path)


def waits_in_vain(run: Recorded, at: float) -> None:
    fails(run, at, TIMEOUT, where="checkout", port=None, handed=None, statement=None, dead=None)


def killed_by_the_first(run: Recorded) -> None:
    """The only connection, closed by its pool a moment after the kill."""
    opened(run, 1)
    run.connect("plain", 1)
    cut(run, 5)
    run.close("plain", 5.01, after="error")


def test_a_wait_after_the_last_connection_was_ended(run: Recorded) -> None:
    """Nothing was opened since, so the fault is why nobody got one: before it, and without it, no fault was."""
    killed_by_the_first(run)
    waits_in_vain(run, 4.8)
    waits_in_vain(run, 5.2)
    before, after = of(run)
    assert before.relation is Relation.UNATTRIBUTED
    assert (after.relation, after.fault, after.episode) == (Relation.SECONDARY, "socket_kill", 0)


def test_a_wait_after_another_was_opened(run: Recorded) -> None:
    """The pool has a connection again: the fault is over for those who wait."""
    killed_by_the_first(run)
    run.connect("plain", 5.1)
    waits_in_vain(run, 5.2)
    (cause,) = of(run)
    assert cause.relation is Relation.UNATTRIBUTED


def test_a_pool_that_gave_up_its_last_connection_itself(run: Recorded) -> None:
    """No fault had ended it, so none is the cause."""
    opened(run, 1)
    run.connect("plain", 1)
    run.proxy("link_ended", 5.3, arm="plain", port=40_000, ender="client")
    run.close("plain", 5.3, dead=False)
    waits_in_vain(run, 5.4)
    (cause,) = of(run)
    assert cause.relation is Relation.UNATTRIBUTED
