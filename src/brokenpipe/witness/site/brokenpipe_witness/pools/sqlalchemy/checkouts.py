"""Instrumentation of checkouts: how long one waited, pinged and connected, and how it failed.

No event of SQLAlchemy has these, so four methods are wrapped; each calls through with its own arguments.

    Pool.connect ─┬─ QueuePool._do_get            waiting for a connection that another request holds
                  ├─ the pool's creator           connecting
                  └─ Dialect._do_ping_w_event     the pre-ping
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

from brokenpipe_witness import planes, pool_sampler, socket_state
from brokenpipe_witness.checkout import Checkout, milliseconds
from brokenpipe_witness.exception_chain import describe
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.opening import OPENER, RECORDED_ELSEWHERE
from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.pools.sqlalchemy import constructor
from brokenpipe_witness.pools.sqlalchemy.connections import ConnectionInfo, attach_info, info_of, pool_number
from brokenpipe_witness.request_context import (
    CURRENT_CHECKOUT,
    CURRENT_REQUEST,
    RequestContext,
    current_request_id,
)
from brokenpipe_witness.safe_call import never_raises


def instrument() -> None:
    """Wrap the four methods on the classes, for every engine of the process."""
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.pool import Pool, QueuePool

    wrap(Pool, "connect", _wrap_connect)
    wrap(Pool, "_should_wrap_creator", _wrap_creator)
    wrap(QueuePool, "_do_get", _wrap_do_get)
    wrap(DefaultDialect, "_do_ping_w_event", _wrap_ping)


def _wrap_connect(real: Method) -> Method:
    def connect(pool: Any, *args: Any, **kwargs: Any) -> Any:
        checkout = Checkout()
        outer = CURRENT_CHECKOUT.get()  # to connect may take a connection of another pool
        CURRENT_CHECKOUT.set(checkout)
        request = CURRENT_REQUEST.get()
        if request is not None:
            request.pending_checkout = checkout
            _count_held(request, checkout, pool)
        try:
            fairy = real(pool, *args, **kwargs)
        except BaseException as error:
            _record_failure(checkout, error)
            raise
        finally:
            CURRENT_CHECKOUT.set(outer)
            if request is not None:
                request.pending_checkout = None
        _record_checkout(checkout, fairy, request)
        return fairy

    return connect


@never_raises
def _count_held(request: RequestContext, checkout: Checkout, pool: Any) -> None:
    """Count the connections held by the same task and thread. Others give back theirs independently."""
    if hasattr(pool, "_max_overflow"):
        try:
            task = id(asyncio.current_task())
        except RuntimeError:  # no event loop runs in this thread
            task = None
        checkout.owner = (id(pool), threading.get_ident(), task)
        checkout.holding = request.held_count(checkout.owner) if request.checkouts else 0


@never_raises
def _record_failure(checkout: Checkout, error: BaseException) -> None:
    request = CURRENT_REQUEST.get()
    if request is not None:
        began, holding = checkout.stage_began, checkout.holding
        request.add_error(checkout.stage, error, error, port=checkout.port, began=began, holding=holding)


@never_raises
def _record_checkout(checkout: Checkout, fairy: Any, request: RequestContext | None) -> None:
    checkout.dead = socket_state.is_dead(fairy.dbapi_connection)
    checkout.handed = now()
    checkout.count_lateness(checkout.handed)
    if not checkout.dead:
        checkout.alive_at = checkout.handed
    info = info_of(fairy._connection_record)
    if info is not None:
        checkout.port = info.port
        pinged = checkout.ping_ns is not None and checkout.connect_began is None  # and it has answered
        checkout.last_used = checkout.handed if pinged else info.last_used
        info.incident = None
        info.checkout = checkout
    if request is not None:
        request.checkouts.append(checkout)


def _wrap_do_get(real: Method) -> Method:
    def _do_get(pool: Any, *args: Any, **kwargs: Any) -> Any:
        began = now()
        try:
            return real(pool, *args, **kwargs)
        finally:
            checkout = CURRENT_CHECKOUT.get()
            if checkout is not None:  # it calls itself again: the outermost call ends last
                checkout.wait_ns = (checkout.connect_began or now()) - began

    return _do_get


def _wrap_ping(real: Method) -> Method:
    def _do_ping_w_event(dialect: Any, *args: Any, **kwargs: Any) -> Any:
        checkout = CURRENT_CHECKOUT.get()
        if checkout is None:
            return real(dialect, *args, **kwargs)
        _record_ping_start(checkout, args)
        began = now()
        checkout.stage, checkout.stage_began = "ping", began
        alive = None  # also if it is cancelled, by a user who leaves or by a time limit: it has found nothing then
        try:
            alive = real(dialect, *args, **kwargs)
            checkout.stage = "checkout"
        except Exception:
            alive = False
            raise
        else:
            return alive
        finally:
            took = now() - began
            checkout.ping_ns = (checkout.ping_ns or 0) + took
            checkout.failed_ping_ns = took if alive is False else None

    return _do_ping_w_event


@never_raises
def _record_ping_start(checkout: Checkout, args: Any) -> None:
    """Record the socket's state: a ping that fails on a socket which looks alive has found what poll cannot."""
    checkout.ping_began_dead = socket_state.is_dead(args[0]) if args else None


def _wrap_creator(real: Method) -> Method:
    def _should_wrap_creator(pool: Any, *args: Any, **kwargs: Any) -> Any:
        create = real(pool, *args, **kwargs)
        pool_sampler.add_pool(pool)
        planes.record(planes.POOLS, "sqlalchemy")
        its_pool = weakref.ref(pool)

        def creator(record: Any) -> Any:
            checkout = CURRENT_CHECKOUT.get() or Checkout()
            pool_sampler.start_thread()
            began = now()
            checkout.stage, checkout.stage_began = "connect", began
            if checkout.connect_began is None:
                checkout.connect_began = began
            opener = OPENER.get()
            OPENER.set(RECORDED_ELSEWHERE)  # here, and not by the instrumentation of the driver
            try:
                connection = create(record)
            except BaseException as error:
                _record_connect_failure(began, its_pool, error)
                raise
            finally:
                OPENER.set(opener)
            checkout.connect_ns = (checkout.connect_ns or 0) + now() - began
            _record_connect(record, connection, its_pool, now() - began)
            return connection

        return creator

    return _should_wrap_creator


@never_raises
def _record_connect(record: Any, connection: Any, pool: weakref.ref[Any], took_ns: int) -> None:
    constructor.record(pool())
    info = ConnectionInfo(socket_state.port(connection), pool)
    attach_info(record, info)
    ms = milliseconds(took_ns)
    of = pool_number(pool())
    write({"k": "connect", "t": now(), "port": info.port, "ms": ms, "of": of, "id": current_request_id()})


@never_raises
def _record_connect_failure(began: int, pool: weakref.ref[Any], error: BaseException) -> None:
    t = now()
    ms = milliseconds(t - began)
    of = pool_number(pool())
    write(
        {
            "k": "connect_failed",
            "t": t,
            "ms": ms,
            "of": of,
            "id": current_request_id(),
            "chain": describe(error),
        }
    )
