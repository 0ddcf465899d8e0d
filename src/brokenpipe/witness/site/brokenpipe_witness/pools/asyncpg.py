"""The pool of asyncpg.

    _acquire ─┬─ (queue)                       waiting for a holder that no one uses
              └─ PoolConnectionHolder.acquire  its connection; a new one if that has ended
    release ─── (reset query)                  a round trip, which is part of holding it

A connection that ends is noticed by the event loop when it has a turn; since 0.32 the pool then opens another.
If a request holds it, its place in the pool is free at once: what the request was handed refuses all that it is asked.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import planes, pool_sampler
from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import ATTRIBUTE
from brokenpipe_witness.connections.asyncpg import info_of
from brokenpipe_witness.ndjson_file import now
from brokenpipe_witness.opening import OPENER
from brokenpipe_witness.patching import Method, observe, wrap
from brokenpipe_witness.pool_state import PoolNumbers, PoolState
from brokenpipe_witness.pools import settings
from brokenpipe_witness.pools.checkout_attempt import CheckoutAttempt, fail_attempt, hand_out
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, CURRENT_REQUEST, current_request
from brokenpipe_witness.safe_call import never_raises


def instrument() -> None:
    """Wrap the methods on the classes."""
    from asyncpg.pool import Pool, PoolConnectionHolder, PoolConnectionProxy

    observe(Pool, "_acquire", _begin_acquire, _end_acquire, _fail_acquire)
    observe(PoolConnectionHolder, "acquire", _begin_holder)
    observe(PoolConnectionHolder, "_release", _begin_holder_release)
    observe(Pool, "_get_new_connection", _begin_connect, _end_connect, _end_connect)
    observe(Pool, "release", _begin_release, _end_release, _end_release)
    if hasattr(Pool, "_maintain_min_size"):  # 0.32
        observe(Pool, "_maintain_min_size", _begin_maintenance)
    for name, method in list(vars(PoolConnectionProxy).items()):
        if not name.startswith("_") and callable(method):
            wrap(PoolConnectionProxy, name, _wrap_proxied)


def _state_of(pool: Any) -> PoolState:
    """Kept on the pool's queue: the pool itself takes no attribute, and no weak reference."""
    queue = vars(pool._queue)
    state: PoolState | None = queue.get(ATTRIBUTE)
    if state is None:
        size, most = int(pool._minsize), int(pool._maxsize)

        def read(holders: Any) -> PoolNumbers:
            idle = sum(holder.is_connected() for holder in tuple(holders._queue))
            return PoolNumbers(size, idle, most, timeout_s=None)

        state = queue[ATTRIBUTE] = PoolState(pool._queue, read)
        planes.record(planes.POOLS, "asyncpg")
        pool_sampler.add_state(state)
        _record_settings(pool)
    return state


@never_raises
def _record_settings(pool: Any) -> None:
    """`max_inactive_connection_lifetime` is handed on to the holders, of which there are as many as connections."""
    arguments = {"min_size": pool._minsize, "max_size": pool._maxsize}
    lifetime_s = getattr(pool._holders[0], "_max_inactive_time", None) if pool._holders else None
    if lifetime_s is not None:
        arguments["max_inactive_connection_lifetime"] = lifetime_s
    settings.record("asyncpg", "asyncpg.create_pool", arguments)


@never_raises
def _begin_acquire(pool: Any, _args: Any) -> CheckoutAttempt | None:
    return CheckoutAttempt(_state_of(pool)) if pool._queue is not None else None


@never_raises
def _begin_holder(_holder: Any, _args: Any) -> None:
    checkout = CURRENT_CHECKOUT.get()
    if checkout is not None:
        checkout.wait_ns = now() - checkout.asked


@never_raises
def _end_acquire(attempt: CheckoutAttempt, proxy: Any) -> None:
    hand_out(attempt, proxy._con, info_of(proxy._con))
    if attempt.request is not None:
        if attempt.request.kept is None:
            attempt.request.kept = {}
        attempt.request.kept[id(proxy)] = attempt.checkout


def _fail_acquire(attempt: CheckoutAttempt, error: BaseException) -> None:
    fail_attempt(attempt, error)


@never_raises
def _begin_connect(pool: Any, _args: Any) -> Any:
    """The driver's own instrumentation records it."""
    OPENER.set(_state_of(pool))
    return pool


@never_raises
def _end_connect(_pool: Any, _connection: Any) -> None:
    OPENER.set(None)


@never_raises
def _begin_release(_pool: Any, args: Any) -> Checkout | None:
    """The checkout of one that has ended in the hands of its request; others are given back when they are reset."""
    proxy = args[0] if args else None
    connection = getattr(proxy, "_con", None)
    if connection is None:
        return _checkout_of(proxy)
    info = info_of(connection)
    if info is None:
        return None
    info.resetting = info.returning = True
    return info.checkout


@never_raises
def _end_release(checkout: Checkout, _result: Any) -> None:
    if checkout.released is None:
        checkout.give_back(now(), None, collected=False)


@never_raises
def _begin_holder_release(holder: Any, _args: Any) -> None:
    """Its place in the pool is free, and may be taken before `release` returns."""
    info = info_of(holder._con) if holder._in_use is not None and holder._con is not None else None
    if info is None or info.pool is None:
        return
    if info.closed:
        info.pool.out -= 1  # the request still has what it was handed
        return
    info.release()
    info.resetting = info.returning = False
    info.incident = None


def _checkout_of(proxy: Any) -> Checkout | None:
    request = current_request()
    return request.kept.get(id(proxy)) if request is not None and request.kept else None


@never_raises
def _begin_maintenance(_pool: Any, _args: Any) -> None:
    """A task of its own, in a copy of the context of whoever lost the connection."""
    CURRENT_REQUEST.set(None)
    CURRENT_CHECKOUT.set(None)
    OPENER.set(None)


def _wrap_proxied(real: Method) -> Method:
    def method(proxy: Any, *args: Any, **kwargs: Any) -> Any:
        if proxy._con is not None:
            return real(proxy, *args, **kwargs)
        try:
            return real(proxy, *args, **kwargs)
        except Exception as error:
            _record_refusal(proxy, error)
            raise

    return method


@never_raises
def _record_refusal(proxy: Any, error: BaseException) -> None:
    """A statement on a connection that has ended meanwhile: it has left the pool, and the request does not know."""
    request, checkout = current_request(), _checkout_of(proxy)
    if request is not None and checkout is not None and checkout.released is None:
        t = now()
        checkout.begin_operation("statement", t)
        checkout.operation_dead = True
        checkout.end_operation()
        request.add_error("statement", error, error, port=checkout.port, began=t, checkout=checkout)
