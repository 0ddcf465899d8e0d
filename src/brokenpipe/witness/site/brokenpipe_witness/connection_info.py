"""What is known of one connection of a driver, from its opening to its end.

SQLAlchemy keeps its own in `record.info`; this one is of connections that a driver's own pool has opened, or nobody's.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import socket_state
from brokenpipe_witness.checkout import Checkout, milliseconds
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.pool_state import PoolState
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, current_request
from brokenpipe_witness.safe_call import never_raises

ATTRIBUTE = "_brokenpipe_witness"  # of a driver's object that takes attributes


class DriverConnection:
    """One connection. `incident` is the last one since it was handed out: ping, error, reset, cancelled or noticed.

    `pool` is None for one that was opened outside of any pool. `last_used`: when it was opened, or was last given back.
    `checkout` is the one that a request has of it, of that `request_id`. `returning`: a request gives it back;
    `resetting`: the pool rolls back what that had left open.
    """

    __slots__ = (
        "checkout",
        "closed",
        "incident",
        "last_used",
        "lifetime_ms",
        "opened",
        "pinging",
        "pool",
        "port",
        "request_id",
        "resetting",
        "returning",
    )

    def __init__(self, port: int | None, pool: PoolState | None) -> None:
        self.port = port
        self.pool = pool
        self.checkout: Checkout | None = None
        self.request_id: str | None = None
        self.incident: str | None = None
        self.opened = self.last_used = now()
        self.lifetime_ms: float | None = None
        self.returning = self.resetting = False
        self.pinging = False
        self.closed = False

    def release(self) -> None:
        """Given back. The pool has it again, whatever becomes of it there."""
        self.returning = True
        self.last_used = now()
        checkout = self.checkout
        if checkout is not None:
            self.checkout = None
            if self.pool is not None:
                self.pool.out -= 1
            checkout.give_back(self.last_used, self.pool.number if self.pool else None, collected=False)


@never_raises
def record_close(info: DriverConnection, connection: Any, dead: bool | None = None) -> None:
    """Write that a connection ends, once. `dead`: whether its socket had ended before; asked here if not known."""
    if info.closed:
        return
    info.closed = True
    if dead is None:
        dead = socket_state.is_dead(connection)
    if info.resetting and info.incident is None:
        info.incident = "reset"
    t = now()
    write(
        {
            "k": "close",
            "t": t,
            "port": info.port,
            "age_ms": milliseconds(t - info.opened),
            "recycle_ms": info.lifetime_ms,
            "dead": dead,
            "after": info.incident,
            "pool_invalidated": None,
            "of": info.pool.number if info.pool else None,
            "id": _closing_request_id(info),
        }
    )


def _closing_request_id(info: DriverConnection) -> str | None:
    """The request that holds this connection, or asks its pool for one. Timers copy the contexts of others."""
    if info.checkout is not None:
        return info.request_id
    request = current_request()
    if request is None:
        return None
    checkout = CURRENT_CHECKOUT.get()
    asks = checkout is not None and checkout is request.pending_checkout
    return request.id if asks or info.returning or info.pool is None else None
