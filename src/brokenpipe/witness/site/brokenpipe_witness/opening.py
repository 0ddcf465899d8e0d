"""Opening a connection: by a pool for a request, by a pool in the background, or by nobody but the request itself."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from brokenpipe_witness import planes, pool_sampler, socket_state
from brokenpipe_witness.checkout import Checkout, milliseconds
from brokenpipe_witness.connection_info import DriverConnection
from brokenpipe_witness.exception_chain import describe
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.operations import hand_out_kept
from brokenpipe_witness.pool_state import PoolState
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, RequestContext, current_request
from brokenpipe_witness.safe_call import never_raises

RECORDED_ELSEWHERE = "recorded elsewhere"
OPENER: ContextVar[PoolState | str | None] = ContextVar("brokenpipe_opener", default=None)
"""The pool that opens a connection now; None: no pool. RECORDED_ELSEWHERE: SQLAlchemy's, which is recorded there."""


class Opening:
    """A connection that is being opened."""

    __slots__ = ("began", "checkout", "pool", "request")

    def __init__(self, pool: PoolState | None) -> None:
        self.pool = pool
        self.request = current_request()
        self.checkout = self._checkout()
        self.began = now()
        self.checkout.stage, self.checkout.stage_began = "connect", self.began
        if self.checkout.connect_began is None:
            self.checkout.connect_began = self.began

    def _checkout(self) -> Checkout:
        """The one that waits for this; a pool may open connections that none waits for."""
        if self.pool is not None:
            return CURRENT_CHECKOUT.get() or Checkout()
        checkout = Checkout()
        if self.request is not None:
            self.request.pending_checkout = checkout
        return checkout

    def _end(self) -> int:
        """Its duration, which is added to what the checkout took."""
        took = now() - self.began
        self.checkout.connect_ns = (self.checkout.connect_ns or 0) + took
        if self.pool is None and self.request is not None:
            self.request.pending_checkout = None
        return took


def begin_opening() -> Opening | None:
    """None: it is recorded elsewhere."""
    opener = OPENER.get()
    if isinstance(opener, str):
        return None
    pool_sampler.start_thread()
    return Opening(opener)


@never_raises
def end_opening(opening: Opening, connection: Any, library: str) -> DriverConnection:
    """Write that `connection` is open. What is known of it is returned, for the driver's instrumentation to keep."""
    took = opening._end()
    opening.checkout.stage = "checkout"
    info = DriverConnection(socket_state.port(connection), opening.pool)
    if opening.pool is None:
        planes.record(planes.CONNECTIONS, library)
        if opening.request is not None:
            hand_out_kept(opening.request, opening.checkout, info, connection)
    write(_line("connect", opening, took) | {"port": info.port})
    return info


@never_raises
def fail_opening(opening: Opening, error: BaseException) -> None:
    """Write that it could not be opened. A request that opened it by itself has met an error."""
    took = opening._end()
    chain = describe(error)
    write(_line("connect_failed", opening, took) | {"chain": chain})
    if opening.pool is not None:
        opening.pool.connects_failed += 1
        opening.pool.last_failure = chain
    elif opening.request is not None:
        opening.request.add_error("connect", error, error, port=None, began=opening.began)


def _line(kind: str, opening: Opening, took: int) -> dict[str, Any]:
    return {
        "k": kind,
        "t": now(),
        "ms": milliseconds(took),
        "of": opening.pool.number if opening.pool else None,
        "id": _id_of(opening.request, opening),
    }


def _id_of(request: RequestContext | None, opening: Opening) -> str | None:
    """The request that waits for it; none for one that a pool opens in the background."""
    if request is None or (opening.pool is not None and request.pending_checkout is not opening.checkout):
        return None
    return request.id
