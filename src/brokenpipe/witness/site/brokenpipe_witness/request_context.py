"""The context of a request: its checkouts, operations and errors, until it has ended and is written.

One mutable object in a context variable: a thread started for a sync endpoint, a task and SQLAlchemy's
greenlets all copy or share the context, and so get the same object.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from threading import get_ident
from typing import Any

from brokenpipe_witness import aggregates
from brokenpipe_witness.exception_chain import describe
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.pool_sampler import totals


class Checkout:
    """A connection on its way from the pool and in use: what it cost to get it, and its operations. Times in ns.

    `holding` connections of the same pool were held by the same task and thread when this one was asked for: they are
    not given back while it waits. None: the pool has no queue to wait in.

    `asked` is set first, `handed` when the pool returns the connection, the rest between the two. Afterwards an
    operation (statement, commit, rollback) has a beginning, at which the socket was `operation_dead` or not.
    """

    __slots__ = (
        "alive_at",
        "asked",
        "busy",
        "connect_began",
        "connect_ns",
        "dead",
        "failed_ping_ns",
        "handed",
        "holding",
        "last_used",
        "operation",
        "operation_began",
        "operation_dead",
        "owner",
        "ping_began_dead",
        "ping_ns",
        "port",
        "released",
        "stage",
        "stage_began",
        "statements",
        "transaction",
        "wait_ns",
    )

    def __init__(self) -> None:
        self.asked = now()
        self.owner: Any = None  # the pool, and the task and thread that asked
        self.holding: int | None = None
        self.stage = "checkout"  # of the pool: checkout (waiting), connect or ping
        self.stage_began = self.asked
        self.port: int | None = None
        self.wait_ns = 0
        self.ping_ns: int | None = None
        self.failed_ping_ns: int | None = None  # until the pool has reacted to it
        self.ping_began_dead: bool | None = None  # was the socket dead when the last ping began?
        self.connect_began: int | None = None
        self.connect_ns: int | None = None
        self.dead = False
        self.alive_at = 0  # when its socket was last seen alive, since it was handed out
        self.handed: int | None = None
        self.last_used: int | None = None  # when the connection was last used before it was handed out
        self.released: int | None = None
        self.statements = 0
        self.transaction = 0  # statements that have succeeded since the last commit or roll-back
        self.operation = "statement"  # the last one: statement, commit or rollback
        self.operation_began: int | None = None
        self.operation_dead: bool | None = None
        self.busy = False  # the operation goes on

    def waiting_for(self) -> dict[str, Any] | None:
        """The operation that the request waits for; None between two operations."""
        if self.handed is None:
            return {
                "act": self.stage,
                "since": self.stage_began,
                "port": self.port,
                "holding": self.holding,
            }
        if not self.busy:
            return None
        return {
            "act": self.operation,
            "since": self.operation_began,
            "port": self.port,
            **self.operation_state(self.operation),
        }

    def operation_state(self, where: str) -> dict[str, Any]:
        """The state in which the last operation began."""
        return {
            "dead_at_checkout": self.dead,
            "dead": self.operation_dead,
            "handed": self.handed,
            "statement": self.statements if where == "statement" else None,
            "transaction": self.transaction,
            "rest_ms": self._rest_ms() if where == "statement" else None,
        }

    def _rest_ms(self) -> float | None:
        """The idle time of the connection when its first statement began."""
        if self.statements != 1 or self.transaction or self.last_used is None or self.operation_began is None:
            return None
        return milliseconds(self.operation_began - self.last_used)

    def to_json(self) -> dict[str, Any]:
        held = self.released - self.handed if self.released and self.handed else None
        return {
            "t": self.handed,
            "port": self.port,
            "wait_ms": milliseconds(self.wait_ns),
            "ping_ms": milliseconds(self.ping_ns),
            "connect_ms": milliseconds(self.connect_ns),
            "fresh": self.connect_began is not None,
            "dead": self.dead,
            "held_ms": milliseconds(held),
            "statements": self.statements,
        }


class RequestContext:
    """One request. `pool` is the pool's state when its first error was seen.

    `response_complete`: the response was sent to its end. `client_left_ns`: when the service learned that the client
    had hung up before that. `thread`: the one in which its event loop runs.
    """

    __slots__ = (
        "began_ns",
        "checkouts",
        "client_left_ns",
        "errors",
        "id",
        "last_error",
        "last_stall",
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
        self.status: int | None = None
        self.response_began_ns: int | None = None  # when the response began
        self.response_complete = False
        self.client_left_ns: int | None = None
        self.thread = get_ident()
        self.pending_checkout: Checkout | None = None  # the checkout that the pool has not finished
        self.last_stall: int | None = None  # the beginning of the operation that was last written as a stall
        self.checkouts: list[Checkout] = []
        self.errors: list[dict[str, Any]] = []
        self.last_error = 0  # the exception's id(), which does not keep it alive
        self.pool: dict[str, int] | None = None

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
    ) -> None:
        """Add an error that SQLAlchemy raises to the application, which may or may not handle it.

        `error` is what the driver raised; `described` is what the application gets.
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
                "pid": os.getpid(),
                "on_loop": get_ident() == self.thread,
                "chain": describe(described),
            }
        )

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

    def write(self, raised: BaseException | None) -> None:
        """Write the line of a request that has ended, or add it to the aggregates if it was unremarkable."""
        failed = raised is not None or (self.status or 0) >= 500
        ended = now()
        if not failed and self.client_left_ns is None and aggregates.add(self, ended):
            return
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
                "errors": self.errors,
                "waiting": self.waiting_for() if failed else None,
                "raised": describe(raised) if raised is not None else None,
                "pool": (self.pool or totals()) if failed else None,
            }
        )


_NO_OPERATION = dict.fromkeys(Checkout().operation_state("checkout"))


def milliseconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


CURRENT_REQUEST: ContextVar[RequestContext | None] = ContextVar("brokenpipe_request", default=None)
CURRENT_CHECKOUT: ContextVar[Checkout | None] = ContextVar("brokenpipe_checkout", default=None)


def current_request_id() -> str | None:
    """The id of the current request."""
    request = CURRENT_REQUEST.get()
    return request.id if request else None
