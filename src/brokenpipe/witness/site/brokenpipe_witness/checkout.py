"""One connection of a request: what it cost to get it, how long it was used, and when it came back."""

from __future__ import annotations

from threading import get_ident
from typing import Any

from brokenpipe_witness.event_loop import lateness_ns
from brokenpipe_witness.ndjson_file import now, write


class Checkout:
    """A connection on its way from the pool and in use: what it cost to get it, and its operations. Times in ns.

    `holding` connections of the same pool were held by the same task and thread when this one was asked for: they are
    not given back while it waits. None: the pool has no queue to wait in.

    `asked` is set first, `handed` when the pool returns the connection, the rest between the two. Afterwards an
    operation (statement, commit, rollback) has a beginning, at which the socket was `operation_dead` or not, and an
    end: `begin_operation`, `end_operation`. `statements_ns` is what all of them took; None: nobody sees them.
    `late_ns`: how much of what the database and the pool took its event loop was late as well.
    """

    __slots__ = (
        "alive_at",
        "asked",
        "backoff_began",
        "backoff_ns",
        "busy",
        "connect_began",
        "connect_ns",
        "dead",
        "failed_ping_ns",
        "failed_pings",
        "failed_pings_ns",
        "handed",
        "holding",
        "last_used",
        "late_ns",
        "late_since",
        "operation",
        "operation_began",
        "operation_dead",
        "owner",
        "ping_began_dead",
        "ping_ns",
        "port",
        "released",
        "request_ended",
        "request_id",
        "stage",
        "stage_began",
        "statements",
        "statements_ns",
        "thread",
        "transaction",
        "wait_ns",
    )

    def __init__(self) -> None:
        self.asked = now()
        self.thread = get_ident()
        self.late_ns = 0
        self.late_since = lateness_ns(self.asked)
        self.owner: Any = None  # the pool, and the task and thread that asked
        self.holding: int | None = None
        self.stage = "checkout"  # of the pool: checkout (waiting), connect or ping
        self.stage_began = self.asked
        self.port: int | None = None
        self.wait_ns = 0
        self.ping_ns: int | None = None
        self.failed_ping_ns: int | None = None  # until the pool has reacted to it
        self.failed_pings = 0  # of a pool that tries another connection after each
        self.failed_pings_ns: int | None = None
        self.backoff_ns: int | None = None  # it pauses between them: no wait for others, no ping, no connect
        self.backoff_began: int | None = None  # it pauses since then
        self.ping_began_dead: bool | None = None  # was the socket dead when the last ping began?
        self.connect_began: int | None = None
        self.connect_ns: int | None = None
        self.dead = False
        self.alive_at = 0  # when its socket was last seen alive, since it was handed out
        self.handed: int | None = None
        self.last_used: int | None = None  # when the connection was last used before it was handed out
        self.released: int | None = None
        self.request_id = ""  # of the request that ended without giving it back
        self.request_ended: int | None = None  # when it did
        self.statements = 0
        self.statements_ns: int | None = 0
        self.transaction = 0  # statements that have succeeded since the last commit or roll-back
        self.operation = "statement"  # the last one: statement, commit or rollback
        self.operation_began: int | None = None
        self.operation_dead: bool | None = None
        self.busy = False  # the operation goes on

    def begin_operation(self, operation: str, t: int) -> None:
        self.operation = operation
        if operation == "statement":
            self.statements += 1
        self.operation_began = t
        self.late_since = lateness_ns(t)
        self.busy = True

    def end_operation(self) -> None:
        """Add the time of the operation that has just ended, well or not."""
        self.busy = False
        t = now()
        if self.statements_ns is not None and self.operation_began is not None:
            self.statements_ns += t - self.operation_began
        self.count_lateness(t)

    def count_lateness(self, t: int) -> None:
        """Count for how long the loop was late during the operation or the hand-out that ends at `t`."""
        late = lateness_ns(t)
        if late is not None and self.late_since is not None:
            self.late_ns += late - self.late_since

    def give_back(self, t: int, pool: int | None, *, collected: bool) -> None:
        """Note that it is back in its pool; written if its request had ended without it. `collected`: as garbage."""
        self.released = t
        if self.request_ended is not None:
            write(
                {
                    "k": "returned",
                    "t": t,
                    "id": self.request_id,
                    "port": self.port,
                    "handed": self.handed,
                    "ms": milliseconds(t - self.request_ended),
                    "of": pool,
                    "collected": collected,
                }
            )

    @property
    def taken_ns(self) -> int:
        """What the pool and the database took: waiting, pinging, connecting, pauses, and all operations."""
        pings = (self.ping_ns or 0) + (self.failed_pings_ns or 0)
        pool = self.wait_ns + pings + (self.connect_ns or 0) + (self.backoff_ns or 0)
        return pool + (self.statements_ns or 0)

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
            "failed_ping_ms": milliseconds(self.failed_pings_ns),
            "backoff_ms": milliseconds(self.backoff_ns),
            "fresh": self.connect_began is not None,
            "dead": self.dead,
            "held_ms": milliseconds(held),
            "statements": self.statements,
            "statements_ms": milliseconds(self.statements_ns),
        }


def milliseconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)
