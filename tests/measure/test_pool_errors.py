"""What a pool that gave no connection was at decides what the failure is called, and to which fault it is owed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.measure.attribution_cases import PORT, cut, explained, fails, kills_of_plain, opened
from tests.measure.recorded import REFUSED, Recorded, link

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.model.attribution import Relation

TIMEOUT = [link("psycopg_pool.PoolTimeout", "couldn't get a connection after 30.00 sec")]
ASYNCPG = [link("builtins.TimeoutError"), link("asyncio.exceptions.CancelledError")]
CANCELLED = [link("asyncio.exceptions.CancelledError")]
QUIET = {
    "out": 0,
    "most": 2,
    "failed_pings": 0,
    "failed_connects": 0,
    "last_failure": None,
    "backoff_ms": None,
}
FULL = QUIET | {"out": 2}
DEAD = QUIET | {"failed_pings": 2, "backoff_ms": 900.0}
ABSENT = QUIET | {"failed_connects": 3, "last_failure": REFUSED}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """A run of which nothing has happened yet."""
    yield from kills_of_plain(tmp_path)


@pytest.mark.parametrize(
    ("state", "chain", "found"),
    [
        (FULL, TIMEOUT, ErrorClass.POOL_EXHAUSTED),
        (DEAD, TIMEOUT, ErrorClass.DEAD_CONNECTIONS),
        (ABSENT, TIMEOUT, ErrorClass.REFUSED),
        (QUIET, TIMEOUT, ErrorClass.NO_CONNECTION),
        (None, TIMEOUT, ErrorClass.NO_CONNECTION),
        (FULL, [link("psycopg_pool.TooManyRequests", "3 waiting")], ErrorClass.POOL_EXHAUSTED),
        (FULL, ASYNCPG, ErrorClass.POOL_EXHAUSTED),
        (FULL, CANCELLED, ErrorClass.CLIENT_TIMEOUT),  # the service's own limit, not the pool's
    ],
)
def test_the_class_is_what_the_pool_was_at(run: Recorded, state: Any, chain: Any, found: ErrorClass) -> None:
    """Never by the name alone: that is the same for all, and without a record it stays as vague as it is."""
    fails(run, 1.0, chain, where="checkout", port=None, pool_state=state)
    ((failure, _),) = explained(run)
    assert (failure.error_class, failure.broken) == (found, False)


def test_dead_connections_are_owed_to_what_ended_them(run: Recorded) -> None:
    """The last one that the pool had tested was cut by a fault."""
    opened(run, 0.5)
    run.act("plain", "inject", "socket_kill", 1, "kill", 0)
    cut(run, 1.0)
    fails(run, 1.1, TIMEOUT, where="checkout", port=PORT, pool_state=DEAD)
    ((_, attribution),) = explained(run)
    assert (attribution.relation, attribution.fault) == (Relation.COLLATERAL, "socket_kill")


def test_what_could_not_be_opened_is_owed_to_the_fault_that_refuses(run: Recorded) -> None:
    """The pool tried in the background while the request waited; after the fault was healed, it is owed to nothing."""
    run.act("plain", "inject", "refuse", 1, "steady")
    run.act("plain", "heal", "refuse", 2, "steady")
    opened(run, 0.1, PORT + 1)
    for at in (1.5, 2.5):
        fails(run, at, TIMEOUT, where="checkout", port=None, handed=None, pool_state=ABSENT)
    (_, first), (_, second) = explained(run)
    assert (first.relation, first.fault) == (Relation.DIRECT, "refuse")
    assert second.relation is Relation.UNATTRIBUTED


@pytest.mark.parametrize(("dead", "found"), [(True, ErrorClass.EOF), (False, ErrorClass.APPLICATION)])
def test_released_back_to_the_pool(run: Recorded, dead: bool, found: ErrorClass) -> None:
    """asyncpg's pool says the same of a connection that has died, and of one that the service had given back itself."""
    text = "cannot call Connection.execute(): connection has been released back to the pool"
    fails(run, 1.0, [link("asyncpg.exceptions._base.InterfaceError", text)], dead=dead, statement=2)
    ((failure, _),) = explained(run)
    assert failure.error_class is found
