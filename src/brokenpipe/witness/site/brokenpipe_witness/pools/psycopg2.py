"""The pools of psycopg2: SimpleConnectionPool and ThreadedConnectionPool. They hand out at once or refuse.

They test nothing. A connection that is broken is closed when it is given back; so is one above the pool's minimum.
"""

from __future__ import annotations

import sys
from typing import Any

from brokenpipe_witness import planes, pool_sampler, socket_state
from brokenpipe_witness.connection_info import ATTRIBUTE, DriverConnection, record_close
from brokenpipe_witness.connections.psycopg2 import info_of, note_broken, record_errors_in
from brokenpipe_witness.opening import OPENER, RECORDED_ELSEWHERE
from brokenpipe_witness.patching import observe
from brokenpipe_witness.pool_state import PoolNumbers, PoolState
from brokenpipe_witness.pools import settings
from brokenpipe_witness.pools.checkout_attempt import CheckoutAttempt, fail_attempt, hand_out
from brokenpipe_witness.request_context import current_request
from brokenpipe_witness.safe_call import never_raises


def instrument() -> None:
    """Wrap the methods on the classes: the simple pool's are the abstract one's under other names."""
    from psycopg2.pool import AbstractConnectionPool, SimpleConnectionPool, ThreadedConnectionPool

    observe(AbstractConnectionPool, "_connect", _begin_connect, _end_connect, _end_connect)
    for owner in (SimpleConnectionPool, ThreadedConnectionPool):
        observe(owner, "getconn", _begin_getconn, _end_getconn, fail_attempt)
        observe(owner, "putconn", _begin_putconn, _end_putconn, _end_putconn)


def _read(pool: Any) -> PoolNumbers:
    return PoolNumbers(pool.minconn, len(pool._pool), pool.maxconn, timeout_s=0.0)


def _state_of(pool: Any) -> PoolState:
    state: PoolState | None = vars(pool).get(ATTRIBUTE)
    if state is None:
        state = PoolState(pool, _read)
        setattr(pool, ATTRIBUTE, state)
        planes.record(planes.POOLS, "psycopg2")
        pool_sampler.add_state(state)
        settings.record("psycopg2", type(pool).__name__, {"minconn": pool.minconn, "maxconn": pool.maxconn})
    return state


@never_raises
def _begin_connect(pool: Any, _args: Any) -> Any:
    if OPENER.get() is RECORDED_ELSEWHERE:
        return None
    OPENER.set(_state_of(pool))
    return pool


@never_raises
def _end_connect(_pool: Any, _connection: Any) -> None:
    OPENER.set(None)


@never_raises
def _begin_getconn(pool: Any, _args: Any) -> CheckoutAttempt | None:
    return None if OPENER.get() is RECORDED_ELSEWHERE else CheckoutAttempt(_state_of(pool))


@never_raises
def _end_getconn(attempt: CheckoutAttempt, connection: Any) -> None:
    attempt.checkout.statements_ns = None  # they are not seen
    info = info_of(connection)
    hand_out(attempt, connection, info)
    if attempt.request is not None and info is not None:
        if attempt.request.kept is None:
            attempt.request.kept = {}
        attempt.request.kept[info] = attempt.checkout


_Return = tuple[DriverConnection, Any, bool]


@never_raises
def _begin_putconn(_pool: Any, args: Any) -> _Return | None:
    """An error that is on its way has been met with this connection: it is about to leave the block that used it."""
    info = info_of(args[0]) if args else None
    if info is None or info.checkout is None:
        return None
    request, on_its_way = current_request(), sys.exc_info()[1]
    if request is not None and args[0].closed:
        note_broken(request, info, info.checkout)
    if request is not None and on_its_way is not None:
        record_errors_in(request, on_its_way)
    dead = socket_state.is_dead(args[0])
    info.release()
    return info, args[0], dead


@never_raises
def _end_putconn(state: _Return, _result: Any) -> None:
    info, connection, dead = state
    if info.checkout is not None:
        return  # it has another user already
    if connection.closed:
        record_close(info, connection, dead)
    info.returning, info.incident = False, None
