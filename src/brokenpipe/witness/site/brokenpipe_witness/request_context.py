"""The context of a request: its checkouts, operations and errors, until it has ended and is written.

One mutable object in a context variable: a thread started for a sync endpoint, a task and SQLAlchemy's
greenlets all copy or share the context, and so get the same object.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from threading import get_ident
from typing import Any, Callable

from brokenpipe_witness import aggregates
from brokenpipe_witness.checkout import Checkout, milliseconds
from brokenpipe_witness.event_loop import lateness_ns
from brokenpipe_witness.exception_chain import describe
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.pool_sampler import totals
from brokenpipe_witness.safe_call import never_raises


class RequestContext:
    """One request. `pool` is the pool's state when its first error was seen.

    `response_complete`: the response was sent to its end. `client_left_ns`: when the service learned that the client
    had hung up before that. `thread`: the one in which its event loop runs; None without one. `answered`: the
    exception that the framework itself turned into the answer, described.
    """

    __slots__ = (
        "answered",
        "began_ns",
        "checkouts",
        "client_left_ns",
        "errors",
        "id",
        "kept",
        "last_error",
        "last_stall",
        "late_since",
        "over",
        "pending_checkout",
        "pool",
        "response_began_ns",
        "response_complete",
        "status",
        "thread",
    )

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.began_ns = now()
        self.late_since = lateness_ns(self.began_ns)
        self.status: int | None = None
        self.response_began_ns: int | None = None  # when the response began
        self.response_complete = False
        self.client_left_ns: int | None = None
        self.thread: int | None = get_ident()
        self.answered: list[dict[str, Any]] | None = None
        self.pending_checkout: Checkout | None = None  # the checkout that the pool has not finished
        self.last_stall: int | None = None  # the beginning of the operation that was last written as a stall
        self.checkouts: list[Checkout] = []
        self.errors: list[dict[str, Any]] = []
        self.last_error = 0  # the exception's id(), which does not keep it alive
        self.pool: dict[str, int] | None = None
        self.over = False  # its line is written; what it left behind, a task or a timer, is not part of it
        self.kept: dict[Any, Checkout] | None = None  # its use of connections that belong to no pool

    def add_error(
        self,
        where: str,
        error: BaseException,
        described: BaseException,
        *,
        port: int | None,
        began: int | None = None,
        checkout: Checkout | None = None,
        disconnect: bool | None = None,
        holding: int | None = None,
        pool_state: dict[str, Any] | None = None,
    ) -> None:
        """Add an error that a library raises to the application, which may or may not handle it.

        `error` is what the driver raised; `described` is what the application gets. `pool_state`: what a pool that
        gave no connection was at.
        """
        self.last_error = id(error)
        if self.pool is None:
            self.pool = totals()
        self.errors.append(
            {
                "t": now(),
                "where": where,
                "began": began,
                "port": port,
                **(checkout.operation_state(where) if checkout else _NO_OPERATION),
                "disconnect": disconnect,
                "holding": holding,
                "pool_state": pool_state,
                "pid": os.getpid(),
                "on_loop": get_ident() == self.thread,
                "chain": describe(described),
            }
        )

    def record_answered(self, error: BaseException) -> None:
        """Record the exception that the framework itself turns into an answer; the last one counts."""
        for find in ERROR_FINDERS:
            find(self, error)
        self.answered = describe(error)

    def held_count(self, owner: Any) -> int:
        """The number of connections of this owner that it has not given back."""
        return sum(checkout.released is None and checkout.owner == owner for checkout in self.checkouts)

    def waiting_for(self) -> dict[str, Any] | None:
        """The operation of the database or the pool that it waits for; None if there is none."""
        checkout = self.pending_checkout or (self.checkouts[-1] if self.checkouts else None)
        operation = checkout.waiting_for() if checkout is not None else None
        return None if operation is None else {**operation, "pid": os.getpid()}

    def _nested(self) -> dict[str, float | None]:
        """The most connections held at any checkout, and the longest wait of one while any were held."""
        nested = [checkout for checkout in self.checkouts if checkout.holding]
        return {
            "nested": max((checkout.holding or 0 for checkout in nested), default=0),
            "nested_wait_ms": milliseconds(max((checkout.wait_ns for checkout in nested), default=None)),
        }

    def loop_ns(self, ended: int) -> int | None:
        """How long the loop was late while this request was under way, and in no operation of the database or the pool.

        None without a loop, and for a request with operations in another thread, which does not wait for the loop.
        """
        late = lateness_ns(ended)
        if late is None or self.late_since is None:
            return None
        late -= self.late_since
        for checkout in self.checkouts:
            if checkout.thread != self.thread:
                return None
            late -= checkout.late_ns
        return max(0, late)

    def _keep_account_of_unreturned(self, ended: int) -> int:
        """Count the connections that were not given back. Each tells when it is, and knows this request by its id."""
        unreturned = [checkout for checkout in self.checkouts if checkout.released is None]
        for checkout in unreturned:
            checkout.request_id, checkout.request_ended = self.id, ended
        return len(unreturned)

    def write(self, raised: BaseException | None) -> None:
        """Write the line of a request that has ended, or add it to the aggregates if it was unremarkable."""
        failed = raised is not None or (self.status or 0) >= 500
        if raised is not None:
            for find in ERROR_FINDERS:
                find(self, raised)
        ended = now()
        self.over = True
        if not failed and self.client_left_ns is None and aggregates.add(self, ended):
            return
        left = describe(raised) if raised is not None else self.answered
        write(
            {
                "k": "request",
                "id": self.id,
                "t0": self.began_ns,
                "t1": ended,
                "status": self.status,
                "began": self.status is not None,
                "began_t": self.response_began_ns,
                "failed": failed,
                "left_t": self.client_left_ns,
                "checkouts": [checkout.to_json() for checkout in self.checkouts],
                **self._nested(),
                "unreturned": self._keep_account_of_unreturned(ended),
                "loop_ms": milliseconds(self.loop_ns(ended)),
                "errors": self.errors,
                "waiting": self.waiting_for() if failed else None,
                "raised": left if failed else None,
                "pool": (self.pool or totals()) if failed else None,
            }
        )


ERROR_FINDERS: list[Callable[[RequestContext, BaseException], None]] = []
"""Of drivers whose statements are not seen: they look for their own errors in what leaves the application."""

_NO_OPERATION = dict.fromkeys(Checkout().operation_state("checkout"))


CURRENT_REQUEST: ContextVar[RequestContext | None] = ContextVar("brokenpipe_request", default=None)
CURRENT_CHECKOUT: ContextVar[Checkout | None] = ContextVar("brokenpipe_checkout", default=None)


def current_request() -> RequestContext | None:
    """The current request; None also for what a request left behind: tasks and timers copy its context."""
    request = CURRENT_REQUEST.get()
    return None if request is None or request.over else request


@never_raises
def record_answered(error: BaseException) -> None:
    """Record an exception that a framework turns into the answer to the current request."""
    request = current_request()
    if request is not None:
        request.record_answered(error)


def current_request_id() -> str | None:
    """The id of the current request."""
    request = current_request()
    return request.id if request else None
