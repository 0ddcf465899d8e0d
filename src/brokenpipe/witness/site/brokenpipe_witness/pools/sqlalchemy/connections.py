"""Instrumentation of connections: from connect to close, and why they ended.

A `ConnectionInfo` is kept in the pool's own `record.info`, which the pool clears when it reconnects.
"""

from __future__ import annotations

import time
import weakref
from threading import get_ident
from typing import Any

from brokenpipe_witness import socket_state
from brokenpipe_witness.checkout import Checkout, milliseconds
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.pool_state import next_pool_number
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, CURRENT_REQUEST, current_request_id
from brokenpipe_witness.safe_call import never_raises

_KEY = "brokenpipe_witness"
# Numbers of pools, in the order of their first connections.
_POOL_NUMBERS: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_COLLECTING: set[int] = set()  # threads in which the garbage collector gives back a connection


class ConnectionInfo:
    """One connection. `incident` is the last one since it was handed out: ping, error, reset or cancelled.

    `last_used`: when it was opened, or was last given back.
    """

    __slots__ = ("checkout", "incident", "last_used", "pool", "port")

    def __init__(self, port: int | None, pool: weakref.ref[Any]) -> None:
        self.port = port
        self.pool = pool
        self.checkout: Checkout | None = None
        self.incident: str | None = None
        self.last_used = now()


def pool_number(pool: Any) -> int | None:
    """The number of a pool in this process; None for one that is gone."""
    if pool is None:
        return None
    if pool not in _POOL_NUMBERS:
        _POOL_NUMBERS[pool] = next_pool_number()
    return _POOL_NUMBERS[pool]


def attach_info(record: Any, info: ConnectionInfo) -> None:
    record.info[_KEY] = info


def info_of(record: Any) -> ConnectionInfo | None:
    """The info of the connection in `record`; None for one that was detached or never seen."""
    return record.info.get(_KEY) if record is not None else None


def instrument() -> None:
    """Listen on every pool of the process."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool, base

    wrap(base, "_finalize_fairy", _wrap_finalize)
    event.listen(Pool, "checkin", _on_checkin)
    event.listen(Pool, "detach", _on_detach)
    event.listen(Pool, "close", _on_close)
    event.listen(Pool, "invalidate", _on_invalidate)
    event.listen(Pool, "soft_invalidate", _on_soft_invalidate)


def _wrap_finalize(real: Method) -> Method:
    """No event tells who gives a connection back: a service does so for an object that it has, a collector for none."""

    def _finalize_fairy(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("fairy") is not None:
            return real(*args, **kwargs)
        thread = get_ident()
        _COLLECTING.add(thread)
        try:
            return real(*args, **kwargs)
        finally:
            _COLLECTING.discard(thread)

    return _finalize_fairy


@never_raises
def _on_checkin(_connection: Any, record: Any) -> None:
    info = info_of(record)
    if info is not None:
        info.incident = None
        _release(info)


@never_raises
def _on_detach(_connection: Any, record: Any) -> None:
    """A detached connection does not belong to the pool any more, which has room for another."""
    info = info_of(record)
    if info is not None:
        _release(info)


def _release(info: ConnectionInfo) -> None:
    info.last_used = now()
    checkout = info.checkout
    if checkout is not None:
        info.checkout = None
        checkout.give_back(info.last_used, pool_number(info.pool()), collected=get_ident() in _COLLECTING)


@never_raises
def _on_close(connection: Any, record: Any) -> None:
    info = info_of(record)
    pool = info.pool() if info else None
    recycle_s = getattr(pool, "_recycle", -1)
    write(
        {
            "k": "close",
            "t": now(),
            "port": info.port if info else None,
            "age_ms": round((time.time() - record.starttime) * 1000, 3),
            "recycle_ms": recycle_s * 1000 if recycle_s > -1 else None,
            "dead": socket_state.is_dead(connection),
            "after": info.incident if info else None,
            "pool_invalidated": getattr(pool, "_invalidate_time", 0) > record.starttime,
            "of": pool_number(pool),
            "id": current_request_id(),
        }
    )


@never_raises
def _on_invalidate(_connection: Any, record: Any, error: BaseException | None) -> None:
    info = info_of(record)
    if not _record_failed_ping(info):
        _confirm_disconnect(error)
        if info is not None and info.incident is None and error is not None:
            # No statement met it: the roll-back when it was given back did, or its request was cancelled.
            info.incident = "cancelled" if is_cancelled(error) else "reset"
    _write_invalidation(info, soft=False)


@never_raises
def _on_soft_invalidate(_connection: Any, record: Any, _error: BaseException | None) -> None:
    _write_invalidation(info_of(record), soft=True)


def _write_invalidation(info: ConnectionInfo | None, *, soft: bool) -> None:
    port = info.port if info else None
    of = pool_number(info.pool()) if info else None
    write({"k": "invalidate", "t": now(), "port": port, "soft": soft, "of": of, "id": current_request_id()})


def _record_failed_ping(info: ConnectionInfo | None) -> bool:
    """Write a ping that has just failed on this connection. False: the current checkout has none."""
    checkout = CURRENT_CHECKOUT.get()
    if checkout is None or checkout.failed_ping_ns is None:
        return False
    if info is not None:
        info.incident = "ping"
        checkout.port = info.port
    ms = milliseconds(checkout.failed_ping_ns)
    dead = checkout.ping_began_dead
    write(
        {
            "k": "ping_failed",
            "t": now(),
            "port": checkout.port,
            "id": current_request_id(),
            "ms": ms,
            "dead": dead,
        }
    )
    checkout.failed_ping_ns = None
    return True


def is_cancelled(error: BaseException) -> bool:
    """True if the operation was cancelled: by a user who left, by a time limit, by the end of the service."""
    return not isinstance(error, Exception)


def _confirm_disconnect(error: BaseException | None) -> None:
    """Mark the last error as a disconnect: a listener of the target may have declared it one after it was recorded."""
    request = CURRENT_REQUEST.get()
    if request is not None and error is not None and request.last_error == id(error) and request.errors:
        request.errors[-1]["disconnect"] = True
