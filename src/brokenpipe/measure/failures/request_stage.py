"""The stage of a request: what it was doing when it failed. One of a closed list, from the witness's error record.

    asks the pool ─▶ connects or is pinged ─▶ statement 1 ─▶ … ─▶ COMMIT ─▶ answers
    POOL_WAIT        CONNECTING, PRE_PING     STALE or       ─▶   COMMIT    RESPONDING
                                              MID_STATEMENT
                                                 └ BETWEEN ┘  (ROLLBACK wherever one is)

What counts is what was under way when the connection ended, not which call reported it: a COMMIT on a connection
that had died before was never sent. AFTER_REST: a first statement of which that cannot be told
(`measure/attribution/idle_connections.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class RequestStage(StrEnum):
    """The closed list."""

    POOL_WAIT = "waiting for the pool"
    CONNECTING = "connecting"
    PRE_PING = "pre-ping"
    STALE = "first statement on a stale connection"
    AFTER_REST = "first statement after a rest"
    BETWEEN = "between statements of a transaction"
    MID_STATEMENT = "in mid-statement"
    COMMIT = "COMMIT sent and unanswered"
    ROLLBACK = "rollback"
    RESPONDING = "after the response began"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class DbOperation:
    """A database operation of a request: the one that failed, or the one it hangs in. Times are monotonic nanoseconds.

    None where the witness recorded nothing: older histories, or a connection that it does not know.
    """

    kind: str  # checkout, connect, ping, statement, commit or rollback
    t: int | None = None  # when it failed
    began: int | None = None  # when it began
    handed: int | None = None  # when the pool had handed out the connection
    port: int | None = None  # the connection's, at the client's end
    dead_at_checkout: bool | None = None
    dead: bool | None = None  # was the socket dead when it began?
    statement: int | None = None  # since the checkout, from 1
    transaction: int | None = None  # statements that had succeeded in this transaction
    rest_ms: float | None = None  # of a first statement: how long the connection had been idle
    pid: int | None = None  # the process
    on_loop: bool | None = None  # in the thread of its event loop; None: it only waits, or not recorded
    opening_failed: bool = False  # of a wait for a pool that could not connect meanwhile

    @property
    def is_first_statement(self) -> bool:
        """The first statement on a connection since its checkout."""
        return self.kind == "statement" and _is_first(self)


_BEFORE_USE: Mapping[str, RequestStage] = {
    "checkout": RequestStage.POOL_WAIT,
    "connect": RequestStage.CONNECTING,
    "ping": RequestStage.PRE_PING,
}


def operation_of(raw: Mapping[str, Any]) -> DbOperation:
    """From the witness's JSON: an error (`where`, `began`), a stall or what a request waits for (`act`, `since`)."""
    own = {"kind", "began", "opening_failed"}
    others = {name: raw.get(name) for name in DbOperation.__slots__ if name not in own}
    began = (
        raw.get("since") if raw.get("began") is None else raw["began"]
    )  # what is not known may be there as null
    opening_failed = bool((raw.get("pool_state") or {}).get("failed_connects"))
    kind = str(raw.get("where") or raw.get("act"))
    return DbOperation(kind, began=began, opening_failed=opening_failed, **others)


def request_stage(
    operation: DbOperation | None, *, response_began: int | None = None, link_ended: int | None = None
) -> RequestStage:
    """The stage of a request that failed with `operation`, or hangs in it.

    `response_began`: when the service began to answer, None if it did not; an answer that says that the request failed
    (a 500, a 503) is no response. `link_ended`: when the proxy saw the end of this connection, if it is known; that
    includes ends that did not reach the service's socket.
    """
    if response_began is not None and (
        operation is None or operation.t is None or response_began <= operation.t
    ):
        return RequestStage.RESPONDING
    if operation is None:
        return RequestStage.UNKNOWN
    if operation.kind in _BEFORE_USE:
        return _BEFORE_USE[operation.kind]
    if operation.kind == "rollback":
        return RequestStage.ROLLBACK
    return _in_use(operation, link_ended)


def _in_use(operation: DbOperation, link_ended: int | None) -> RequestStage:
    """A statement or a commit: was its connection alive when it began?"""
    if operation.is_first_statement and (
        operation.dead_at_checkout or _had_ended(link_ended, operation.handed)
    ):
        return RequestStage.STALE
    if operation.dead or operation.dead_at_checkout or _had_ended(link_ended, operation.began):
        return RequestStage.BETWEEN
    if operation.dead is None and (link_ended is None or operation.began is None):
        return RequestStage.UNKNOWN
    if operation.kind == "commit":
        return RequestStage.COMMIT
    return RequestStage.MID_STATEMENT if operation.kind == "statement" else RequestStage.UNKNOWN


def _is_first(operation: DbOperation) -> bool:
    return operation.statement == 1 or (operation.statement is None and not operation.transaction)


def _had_ended(link_ended: int | None, at: int | None) -> bool:
    return link_ended is not None and at is not None and link_ended < at
