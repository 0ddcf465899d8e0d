"""Statements, commits and roll-backs on connections of drivers, without SQLAlchemy above them.

A connection of a pool is used by the request that holds it. One that was opened outside of any pool is used by any
request: the first use by each is a checkout that cost nothing, and the last one gives it back.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.connection_info import DriverConnection
from brokenpipe_witness.ndjson_file import now
from brokenpipe_witness.request_context import RequestContext, current_request
from brokenpipe_witness.safe_call import never_raises
from brokenpipe_witness.socket_state import RECENT_NS, is_dead


@never_raises
def begin_operation(info: DriverConnection, connection: Any, operation: str) -> Checkout | None:
    """None: no request uses this connection, or its pool does."""
    checkout = info.checkout if info.pool is not None else _checkout_of_kept(info, connection)
    if checkout is None or info.pinging:
        return None
    began = now()
    checkout.begin_operation(operation, began)
    if began - checkout.alive_at < RECENT_NS:
        checkout.operation_dead = False
    else:
        checkout.operation_dead = is_dead(connection)
        checkout.alive_at = 0 if checkout.operation_dead else began
    return checkout


def end_operation(info: DriverConnection, checkout: Checkout) -> None:
    """Whatever came of it."""
    checkout.end_operation()
    if info.pool is None:
        checkout.released = info.last_used = now()


@never_raises
def record_error(info: DriverConnection, checkout: Checkout, error: BaseException, where: str = "") -> None:
    """An error of the operation that `checkout` is in."""
    failed = "reset" if info.resetting else "error"
    info.incident = failed if isinstance(error, Exception) else "cancelled"
    request = current_request()
    if request is None or request.last_error == id(error):
        return
    request.add_error(
        where or checkout.operation,
        error,
        error,
        port=info.port,
        began=checkout.operation_began,
        checkout=checkout,
    )


def checkout_of(info: DriverConnection) -> Checkout | None:
    """The checkout in which the current request uses this connection, if it has used it."""
    if info.pool is not None:
        return info.checkout
    request = current_request()
    return request.kept.get(info) if request is not None and request.kept else None


def _checkout_of_kept(info: DriverConnection, connection: Any) -> Checkout | None:
    request = current_request()
    if request is None or info.pinging:
        return None
    checkout = use_kept(request, info, connection)
    checkout.released = None
    return checkout


def use_kept(request: RequestContext, info: DriverConnection, connection: Any) -> Checkout:
    """The checkout in which the request uses a connection of no pool; its first use begins it."""
    checkout = request.kept.get(info) if request.kept else None
    if checkout is None:
        checkout = Checkout()
        hand_out_kept(request, checkout, info, connection)
    return checkout


def hand_out_kept(
    request: RequestContext, checkout: Checkout, info: DriverConnection, connection: Any
) -> None:
    """A request begins to use a connection that belongs to no pool."""
    checkout.dead = is_dead(connection)
    checkout.handed = now()
    if not checkout.dead:
        checkout.alive_at = checkout.handed
    checkout.port, checkout.last_used = info.port, info.last_used
    checkout.released = checkout.handed  # nobody waits for it: no use of it is its end
    info.incident = None
    if request.kept is None:
        request.kept = {}
    request.kept[info] = checkout
    request.checkouts.append(checkout)
