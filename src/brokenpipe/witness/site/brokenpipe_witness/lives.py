"""A connection's life from connect to close, and why it ended.

What is known of it lies in the pool's own `record.info`, which the pool clears when it connects anew.
"""

from __future__ import annotations

import itertools
import time
import weakref
from typing import Any

from brokenpipe_witness import wire
from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.scene import SCENE, UNDER_WAY, Checkout, milliseconds, request_id
from brokenpipe_witness.tape import now, write

_KEY = "brokenpipe_witness"
# Of pools, in the order of their first connections.
_NUMBERS: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_COUNT = itertools.count(1)


class Life:
    """One connection. `trouble` is what befell it since it was last handed out: ping, error, reset or cancelled.

    `used`: when it was opened, or was last given back.
    """

    __slots__ = ("checkout", "pool", "port", "trouble", "used")

    def __init__(self, port: int | None, pool: weakref.ref[Any]) -> None:
        self.port = port
        self.pool = pool
        self.checkout: Checkout | None = None
        self.trouble: str | None = None
        self.used = now()


def number_of(pool: Any) -> int | None:
    """Which pool of this process; None for one that is gone."""
    if pool is None:
        return None
    if pool not in _NUMBERS:
        _NUMBERS[pool] = next(_COUNT)
    return _NUMBERS[pool]


def begin(record: Any, life: Life) -> None:
    record.info[_KEY] = life


def life_of(record: Any) -> Life | None:
    """What is known of the connection in `record`; None for one that was detached or never seen."""
    return record.info.get(_KEY) if record is not None else None


def watch() -> None:
    """Listen on every pool of the process."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    event.listen(Pool, "checkin", _on_checkin)
    event.listen(Pool, "detach", _on_detach)
    event.listen(Pool, "close", _on_close)
    event.listen(Pool, "invalidate", _on_invalidate)
    event.listen(Pool, "soft_invalidate", _on_soft_invalidate)


@quietly
def _on_checkin(_connection: Any, record: Any) -> None:
    life = life_of(record)
    if life is not None:
        life.trouble = None
        _release(life)


@quietly
def _on_detach(_connection: Any, record: Any) -> None:
    """From now on it is none of the pool's, which has room for another."""
    life = life_of(record)
    if life is not None:
        _release(life)


def _release(life: Life) -> None:
    life.used = now()
    if life.checkout is not None:
        life.checkout.released = life.used
        life.checkout = None


@quietly
def _on_close(connection: Any, record: Any) -> None:
    life = life_of(record)
    pool = life.pool() if life else None
    recycle_s = getattr(pool, "_recycle", -1)
    write(
        {
            "k": "close",
            "t": now(),
            "port": life.port if life else None,
            "age_ms": round((time.time() - record.starttime) * 1000, 3),
            "recycle_ms": recycle_s * 1000 if recycle_s > -1 else None,
            "dead": wire.is_dead(connection),
            "after": life.trouble if life else None,
            "pool_invalidated": getattr(pool, "_invalidate_time", 0) > record.starttime,
            "of": number_of(pool),
            "id": request_id(),
        }
    )


@quietly
def _on_invalidate(_connection: Any, record: Any, error: BaseException | None) -> None:
    life = life_of(record)
    if not _found_by_ping(life):
        _confirm_disconnect(error)
        if life is not None and life.trouble is None and error is not None:
            # Nobody's statement met it: the roll-back when it was given back did, or its request was called off.
            life.trouble = "cancelled" if is_cancelled(error) else "reset"
    _write_invalidation(life, soft=False)


@quietly
def _on_soft_invalidate(_connection: Any, record: Any, _error: BaseException | None) -> None:
    _write_invalidation(life_of(record), soft=True)


def _write_invalidation(life: Life | None, *, soft: bool) -> None:
    port = life.port if life else None
    of = number_of(life.pool()) if life else None
    write({"k": "invalidate", "t": now(), "port": port, "soft": soft, "of": of, "id": request_id()})


def _found_by_ping(life: Life | None) -> bool:
    """True when a pre-ping of the checkout under way has just failed on this connection."""
    checkout = UNDER_WAY.get()
    if checkout is None or checkout.failed_ping_ns is None:
        return False
    if life is not None:
        life.trouble = "ping"
        checkout.port = life.port
    ms = milliseconds(checkout.failed_ping_ns)
    dead = checkout.ping_began_dead
    write({"k": "ping_failed", "t": now(), "port": checkout.port, "id": request_id(), "ms": ms, "dead": dead})
    checkout.failed_ping_ns = None
    return True


def is_cancelled(error: BaseException) -> bool:
    """Whether what went on was called off: by a user who left, by a time limit, by the end of the service."""
    return not isinstance(error, Exception)


def _confirm_disconnect(error: BaseException | None) -> None:
    """A listener of the target's may have declared it a disconnect after we had noted it as none."""
    scene = SCENE.get()
    if scene is not None and error is not None and scene.last_error == id(error) and scene.errors:
        scene.errors[-1]["disconnect"] = True
