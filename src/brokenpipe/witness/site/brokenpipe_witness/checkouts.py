"""Taking a connection from the pool: how long it waited, pinged and connected, and how it failed.

No event of SQLAlchemy tells these, so four methods are wrapped; each calls through with what it was given.

    Pool.connect ─┬─ QueuePool._do_get            waiting for a connection that another request holds
                  ├─ the pool's creator           connecting
                  └─ Dialect._do_ping_w_event     the pre-ping
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextvars import Token
from typing import Any

from brokenpipe_witness import gauge, wire
from brokenpipe_witness.chain import describe
from brokenpipe_witness.lives import Life, begin, life_of, number_of
from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.scene import SCENE, UNDER_WAY, Checkout, Scene, milliseconds, request_id
from brokenpipe_witness.tape import now, write
from brokenpipe_witness.wrap import Method, wrap


def watch() -> None:
    """Wrap the four methods, on the classes: every engine of the process is seen."""
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.pool import Pool, QueuePool

    wrap(Pool, "connect", _watch_checkout)
    wrap(Pool, "_should_wrap_creator", _watch_creator)
    wrap(QueuePool, "_do_get", _watch_wait)
    wrap(DefaultDialect, "_do_ping_w_event", _watch_ping)


def _watch_checkout(real: Method) -> Method:
    def connect(pool: Any, *args: Any, **kwargs: Any) -> Any:
        checkout = Checkout()
        token = UNDER_WAY.set(checkout)
        scene = SCENE.get()
        if scene is not None:
            _count_held(scene, checkout, pool)
            scene.asking = checkout
        try:
            fairy = real(pool, *args, **kwargs)
        except BaseException as error:
            _checkout_failed(checkout, error)
            raise
        finally:
            _end(token)
            if scene is not None:
                scene.asking = None
        _checked_out(checkout, fairy)
        return fairy

    return connect


@quietly
def _count_held(scene: Scene, checkout: Checkout, pool: Any) -> None:
    """Tasks and threads beside each other each give back their own without the other's help: they are told apart."""
    if hasattr(pool, "_max_overflow"):
        checkout.owner = (id(pool), threading.get_ident(), _task())
        checkout.holding = scene.held(checkout.owner)


def _task() -> int | None:
    try:
        return id(asyncio.current_task())
    except RuntimeError:  # no event loop runs in this thread
        return None


@quietly
def _end(token: Token[Checkout | None]) -> None:
    UNDER_WAY.reset(token)


@quietly
def _checkout_failed(checkout: Checkout, error: BaseException) -> None:
    scene = SCENE.get()
    if scene is not None:
        began, holding = checkout.stage_began, checkout.holding
        scene.add_error(checkout.stage, error, error, port=checkout.port, began=began, holding=holding)


@quietly
def _checked_out(checkout: Checkout, fairy: Any) -> None:
    checkout.dead = wire.is_dead(fairy.dbapi_connection)
    checkout.handed = now()
    life = life_of(fairy._connection_record)
    if life is not None:
        checkout.port = life.port
        pinged = checkout.ping_ns is not None and checkout.connect_began is None  # and it has answered
        checkout.used = checkout.handed if pinged else life.used
        life.trouble = None
        life.checkout = checkout
    scene = SCENE.get()
    if scene is not None:
        scene.checkouts.append(checkout)


def _watch_wait(real: Method) -> Method:
    def _do_get(pool: Any, *args: Any, **kwargs: Any) -> Any:
        began = now()
        try:
            return real(pool, *args, **kwargs)
        finally:
            checkout = UNDER_WAY.get()
            if checkout is not None:  # it calls itself again: the outermost call ends last
                checkout.wait_ns = (checkout.connect_began or now()) - began

    return _do_get


def _watch_ping(real: Method) -> Method:
    def _do_ping_w_event(dialect: Any, *args: Any, **kwargs: Any) -> Any:
        checkout = UNDER_WAY.get()
        if checkout is None:
            return real(dialect, *args, **kwargs)
        _ping_begins(checkout, args)
        began = now()
        checkout.stage, checkout.stage_began = "ping", began
        alive = None  # also if it is cut short, by a user who leaves or by a time limit: it has found nothing then
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


@quietly
def _ping_begins(checkout: Checkout, args: Any) -> None:
    """A ping that fails on a socket which looks alive has found what no look at it could."""
    checkout.ping_began_dead = wire.is_dead(args[0]) if args else None


def _watch_creator(real: Method) -> Method:
    def _should_wrap_creator(pool: Any, *args: Any, **kwargs: Any) -> Any:
        create = real(pool, *args, **kwargs)
        gauge.watch(pool)
        its_pool = weakref.ref(pool)

        def creator(record: Any) -> Any:
            checkout = UNDER_WAY.get() or Checkout()
            gauge.start()
            began = now()
            checkout.stage, checkout.stage_began = "connect", began
            if checkout.connect_began is None:
                checkout.connect_began = began
            try:
                connection = create(record)
            except BaseException as error:
                _connect_failed(began, its_pool, error)
                raise
            checkout.connect_ns = (checkout.connect_ns or 0) + now() - began
            _connected(record, connection, its_pool, now() - began)
            return connection

        return creator

    return _should_wrap_creator


@quietly
def _connected(record: Any, connection: Any, pool: weakref.ref[Any], took_ns: int) -> None:
    life = Life(wire.port(connection), pool)
    begin(record, life)
    ms = milliseconds(took_ns)
    of = number_of(pool())
    write({"k": "connect", "t": now(), "port": life.port, "ms": ms, "of": of, "id": request_id()})


@quietly
def _connect_failed(began: int, pool: weakref.ref[Any], error: BaseException) -> None:
    t = now()
    ms = milliseconds(t - began)
    of = number_of(pool())
    write({"k": "connect_failed", "t": t, "ms": ms, "of": of, "id": request_id(), "chain": describe(error)})
