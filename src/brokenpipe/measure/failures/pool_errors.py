"""The class of an error in which a pool gave no connection: by what the pool was at, never by the name of the error.

A driver's pool raises the same for three situations, and says no more (`psycopg_pool.PoolTimeout`, the `TimeoutError`
of `asyncpg.Pool.acquire(timeout=…)`). The witness wrote down what was under way meanwhile:

    a connection could not be opened        the class of that: the server was absent, or refused
    pings found dead connections            the pool replaced them, one after the other, and paused
    all connections were out                pool exhausted

Without such a record the class stays what the name says: that no connection came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.failures.error_classes import ChainedException, chain_of, classify

_OF_A_POOL = frozenset(
    {
        "psycopg_pool.PoolTimeout",
        "psycopg_pool.TooManyRequests",
        "builtins.TimeoutError",
        "asyncio.exceptions.TimeoutError",
    }
)


def class_by_pool(
    found: ErrorClass, chain: Sequence[ChainedException], operation: Mapping[str, Any] | None
) -> ErrorClass:
    """`found`, unless the operation is a wait that the pool itself gave up, and its state is on record."""
    state = (operation or {}).get("pool_state")
    if state is None or not any(link.type in _OF_A_POOL for link in chain):
        return found
    return _class_of_state(state) or found


def _class_of_state(state: Mapping[str, Any]) -> ErrorClass | None:
    if state.get("failed_connects"):
        return classify(chain_of(state.get("last_failure")), "connect")
    if state.get("failed_pings"):
        return ErrorClass.DEAD_CONNECTIONS
    out, most = state.get("out"), state.get("most")
    return ErrorClass.POOL_EXHAUSTED if most is not None and out is not None and out >= most else None


def is_refused_as_released(chain: Sequence[ChainedException], operation: Mapping[str, Any] | None) -> bool:
    """Whether asyncpg's pool refused a statement because its connection had ended in the hands of the request.

    It says that the connection has been released, and says the same to a service that goes on using one that it has
    given back: only the state of the socket tells them apart.
    """
    dead = operation is not None and operation.get("dead")
    return bool(dead) and any(
        link.type.startswith("asyncpg.") and "released back to the pool" in link.text for link in chain
    )
