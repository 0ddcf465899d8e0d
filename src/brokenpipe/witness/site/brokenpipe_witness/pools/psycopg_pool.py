"""The pools of psycopg_pool: ConnectionPool, NullConnectionPool, and their asynchronous versions.

    getconn ─┬─ _getconn_unchecked      waiting for a connection; a null pool connects here, for the request
             ├─ _check_connection       `check`, if the pool has one
             └─ (pause)                 after a dead connection, 0, 1, 2, 4 … s
    putconn ─── _return_connection      resets it, or discards it
    worker ──── _connect                all other connections, in the background: a request waits meanwhile

What a worker does belongs to no request, even if one has opened the pool.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import planes, pool_sampler
from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import ATTRIBUTE, DriverConnection, record_close
from brokenpipe_witness.ndjson_file import now
from brokenpipe_witness.opening import OPENER, RECORDED_ELSEWHERE
from brokenpipe_witness.patching import observe
from brokenpipe_witness.pool_state import PoolNumbers, PoolState
from brokenpipe_witness.pools import settings
from brokenpipe_witness.pools.checkout_attempt import (
    CheckoutAttempt,
    begin_ping,
    end_backoff,
    end_ping,
    fail_attempt,
    fail_ping,
    hand_out,
)
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, CURRENT_REQUEST
from brokenpipe_witness.safe_call import never_raises


def instrument() -> None:
    """Wrap the methods on the two classes; the null pools inherit them."""
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

    for owner in (ConnectionPool, AsyncConnectionPool):
        observe(owner, "getconn", _begin_getconn, _end_getconn, fail_attempt)
        observe(owner, "putconn", _begin_putconn, _end_putconn, _end_putconn)
        observe(owner, "_getconn_unchecked", _begin_wait, _end_wait, _end_wait)
        observe(owner, "_check_connection", _begin_check, _end_check, _fail_check)
        observe(owner, "_connect", _begin_connect, _end_connect, _end_connect)
        observe(owner, "_reset_connection", _begin_reset, _end_reset, _end_reset)
        observe(owner, "_return_connection", _begin_return, _end_return)
        observe(owner, "_close_connection", _begin_close)
        observe(owner, "check", _begin_check_all, _end_check_all)
        observe(owner, "worker", _begin_worker)


def _read(pool: Any) -> PoolNumbers:
    """`_max_size` of a null pool may be 0: no limit."""
    size = int(pool._min_size or pool._max_size)
    return PoolNumbers(size, len(pool._pool), pool._max_size or None, float(pool.timeout))


def _state_of(pool: Any) -> PoolState:
    state: PoolState | None = vars(pool).get(ATTRIBUTE)
    if state is None:
        state = PoolState(pool, _read)
        setattr(pool, ATTRIBUTE, state)
        planes.record(planes.POOLS, "psycopg_pool")
        pool_sampler.add_state(state)
        _record_settings(pool)
    return state


@never_raises
def _record_settings(pool: Any) -> None:
    arguments = {
        "min_size": pool._min_size,
        "max_size": pool._max_size,
        "timeout": pool.timeout,
        "max_idle": pool.max_idle,
    }
    if pool._check is not None:
        arguments["check"] = settings.source_of(pool._check)
    settings.record("psycopg_pool", type(pool).__name__, arguments)


def _info_of(connection: Any) -> DriverConnection | None:
    info: DriverConnection | None = vars(connection).get(ATTRIBUTE)
    return info


@never_raises
def _begin_getconn(pool: Any, _args: Any) -> CheckoutAttempt | None:
    """None: SQLAlchemy opens its connections with this pool, and is recorded."""
    return None if OPENER.get() is RECORDED_ELSEWHERE else CheckoutAttempt(_state_of(pool))


def _end_getconn(attempt: CheckoutAttempt, connection: Any) -> None:
    hand_out(attempt, connection, _info_of(connection))


@never_raises
def _begin_putconn(pool: Any, args: Any) -> Any:
    info = _info_of(args[0]) if args else None
    if info is None or info.pool is not vars(pool).get(ATTRIBUTE):
        return None
    info.release()
    return args[0]


@never_raises
def _end_putconn(connection: Any, _result: Any) -> None:
    info = _info_of(connection)
    if info is not None and info.checkout is None:  # it may have another user already
        info.returning = False
        if not connection.closed:
            info.incident = None


@never_raises
def _begin_wait(_pool: Any, _args: Any) -> tuple[Checkout, int, int] | None:
    checkout = CURRENT_CHECKOUT.get()
    if checkout is None:
        return None
    end_backoff(checkout)
    return checkout, now(), checkout.connect_ns or 0


@never_raises
def _end_wait(state: tuple[Checkout, int, int], _result: Any) -> None:
    """The wait alone, without the connecting of a null pool."""
    checkout, began, connected_ns = state
    checkout.wait_ns += now() - began - ((checkout.connect_ns or 0) - connected_ns)


@never_raises
def _begin_check(pool: Any, args: Any) -> tuple[Checkout, DriverConnection | None] | None:
    if not pool._check or not args:
        return None
    info = _info_of(args[0])
    checkout = begin_ping(args[0], info)
    return None if checkout is None else (checkout, info)


def _end_check(state: tuple[Checkout, DriverConnection | None], _result: Any) -> None:
    end_ping(state[0])


def _fail_check(state: tuple[Checkout, DriverConnection | None], error: BaseException) -> None:
    fail_ping(*state, error)


@never_raises
def _begin_connect(pool: Any, _args: Any) -> Any:
    """The driver's own instrumentation records it."""
    if OPENER.get() is RECORDED_ELSEWHERE:
        return None
    OPENER.set(_state_of(pool))
    return pool


@never_raises
def _end_connect(_pool: Any, connection: Any) -> None:
    OPENER.set(None)
    info = None if isinstance(connection, BaseException) else _info_of(connection)
    if info is not None:
        info.last_used = now()
        info.lifetime_ms = round((connection._expire_at - connection._created_at) * 1000, 3)


@never_raises
def _begin_reset(_pool: Any, args: Any) -> DriverConnection | None:
    info = _info_of(args[0]) if args else None
    if info is not None:
        info.resetting = True
    return info


@never_raises
def _end_reset(info: DriverConnection, _result: Any) -> None:
    info.resetting = False


@never_raises
def _begin_return(_pool: Any, args: Any) -> Any:
    return args[0] if args else None


@never_raises
def _end_return(connection: Any, _result: Any) -> None:
    """One that is broken is not closed but dropped."""
    info = _info_of(connection)
    if info is not None and connection.closed:
        record_close(info, connection)


@never_raises
def _begin_close(_pool: Any, args: Any) -> None:
    info = _info_of(args[0]) if args else None
    if info is not None:
        record_close(info, args[0])


@never_raises
def _begin_check_all(pool: Any, _args: Any) -> list[Any]:
    return list(pool._pool)


@never_raises
def _end_check_all(connections: list[Any], _result: Any) -> None:
    """Those that the pool found dead, while no request waited for them."""
    for connection in connections:
        info = _info_of(connection)
        if info is not None and connection.closed and not info.closed:
            info.incident = "noticed"
            record_close(info, connection)


@never_raises
def _begin_worker(_cls: Any, _args: Any) -> None:
    """It runs in a context of its own, which is a copy of that of whoever opened the pool."""
    CURRENT_REQUEST.set(None)
    CURRENT_CHECKOUT.set(None)
    OPENER.set(None)
