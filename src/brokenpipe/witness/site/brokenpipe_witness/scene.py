"""What is going on in the current request: its checkouts, acts and errors, until it is over and written down.

One mutable object in a context variable: a thread started for a sync endpoint, a task and SQLAlchemy's
greenlets all copy or share the context, and so find the same scene.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from threading import get_ident
from typing import Any

from brokenpipe_witness import tally
from brokenpipe_witness.chain import describe
from brokenpipe_witness.gauge import totals
from brokenpipe_witness.tape import now, write


class Checkout:
    """A connection handed out by the pool, what it cost to get it, and what is being done with it. Times in ns.

    `holding` connections of the same pool were held when it was asked for, by the same task and thread: nobody gives
    them back while it waits. None: the pool has no queue to wait in.

    `asked` is set when the request asks; the rest while the pool works; `handed` when it is done. From then on an
    act (statement, commit, rollback) has a beginning, and at it the socket was `act_dead` or not.
    """

    __slots__ = (
        "act",
        "act_began",
        "act_dead",
        "asked",
        "busy",
        "connect_began",
        "connect_ns",
        "dead",
        "failed_ping_ns",
        "handed",
        "holding",
        "owner",
        "ping_began_dead",
        "ping_ns",
        "port",
        "released",
        "stage",
        "stage_began",
        "statements",
        "transaction",
        "used",
        "wait_ns",
    )

    def __init__(self) -> None:
        self.asked = now()
        self.owner: Any = None  # the pool, and the task and thread that asked
        self.holding: int | None = None
        self.stage = "checkout"  # what the pool is at: checkout (waiting), connect or ping
        self.stage_began = self.asked
        self.port: int | None = None
        self.wait_ns = 0
        self.ping_ns: int | None = None
        self.failed_ping_ns: int | None = None  # until the pool has acted on it
        self.ping_began_dead: bool | None = None  # was the socket dead when the last ping began?
        self.connect_began: int | None = None
        self.connect_ns: int | None = None
        self.dead = False
        self.handed: int | None = None
        self.used: int | None = None  # when the connection was last used before it was handed out
        self.released: int | None = None
        self.statements = 0
        self.transaction = 0  # statements that have succeeded since the last commit or roll-back
        self.act = "statement"  # the last one: statement, commit or rollback
        self.act_began: int | None = None
        self.act_dead: bool | None = None
        self.busy = False  # the act goes on

    def under_way(self) -> dict[str, Any] | None:
        """What the request waits for; None between two acts."""
        if self.handed is None:
            return {
                "act": self.stage,
                "since": self.stage_began,
                "port": self.port,
                "holding": self.holding,
            }
        if not self.busy:
            return None
        return {"act": self.act, "since": self.act_began, "port": self.port, **self.situation(self.act)}

    def situation(self, where: str) -> dict[str, Any]:
        """In what state of things the last act began."""
        return {
            "dead_at_checkout": self.dead,
            "dead": self.act_dead,
            "handed": self.handed,
            "statement": self.statements if where == "statement" else None,
            "transaction": self.transaction,
            "rest_ms": self._rest_ms() if where == "statement" else None,
        }

    def _rest_ms(self) -> float | None:
        """For how long nothing had been said on the connection when its first statement began."""
        if self.statements != 1 or self.transaction or self.used is None or self.act_began is None:
            return None
        return milliseconds(self.act_began - self.used)

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


class Scene:
    """One request. `pool` is the pool's state when its first error was seen.

    `complete`: its answer was sent to the end. `left_ns`: when the service learned that its client had hung up before
    that. `thread`: the one in which its event loop runs.
    """

    __slots__ = (
        "answer_ns",
        "asking",
        "began_ns",
        "checkouts",
        "complete",
        "errors",
        "id",
        "last_error",
        "left_ns",
        "pool",
        "status",
        "thread",
        "told",
    )

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.began_ns = now()
        self.status: int | None = None
        self.answer_ns: int | None = None  # when it began to answer
        self.complete = False
        self.left_ns: int | None = None
        self.thread = get_ident()
        self.asking: Checkout | None = None  # the pool is at work for it
        self.told: int | None = None  # the beginning of the act that was last written down as a stall
        self.checkouts: list[Checkout] = []
        self.errors: list[dict[str, Any]] = []
        self.last_error = 0  # the exception's id(): to know it again, not to keep it alive
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
        """An error that SQLAlchemy raises to the application, which may or may not handle it.

        `error` is what the driver raised; `described` is what the application gets to see.
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
                **(checkout.situation(where) if checkout else _NOWHERE),
                "disconnect": disconnect,
                "holding": holding,
                "pid": os.getpid(),
                "on_loop": get_ident() == self.thread,
                "chain": describe(described),
            }
        )

    def held(self, owner: Any) -> int:
        """How many connections of this owner it has and has not given back."""
        return sum(each.released is None and each.owner == owner for each in self.checkouts)

    def under_way(self) -> dict[str, Any] | None:
        """What it waits for in the database or the pool; None if it does something else."""
        checkout = self.asking or (self.checkouts[-1] if self.checkouts else None)
        act = checkout.under_way() if checkout is not None else None
        return None if act is None else {**act, "pid": os.getpid()}

    def _nested(self) -> dict[str, float | None]:
        """The most connections held at any checkout, and the longest wait of one while any were held."""
        nested = [checkout for checkout in self.checkouts if checkout.holding]
        return {
            "nested": max((checkout.holding or 0 for checkout in nested), default=0),
            "nested_wait_ms": milliseconds(max((checkout.wait_ns for checkout in nested), default=None)),
        }

    def write(self, raised: BaseException | None) -> None:
        """The request is over: its line, or a place in the tally if there is nothing to tell."""
        failed = raised is not None or (self.status or 0) >= 500
        ended = now()
        if not failed and self.left_ns is None and tally.add(self, ended):
            return
        write(
            {
                "k": "request",
                "id": self.id,
                "t0": self.began_ns,
                "t1": ended,
                "status": self.status,
                "began": self.status is not None,
                "began_t": self.answer_ns,
                "failed": failed,
                "left_t": self.left_ns,
                "checkouts": [checkout.to_json() for checkout in self.checkouts],
                **self._nested(),
                "errors": self.errors,
                "waiting": self.under_way() if failed else None,
                "raised": describe(raised) if raised is not None else None,
                "pool": (self.pool or totals()) if failed else None,
            }
        )


_NOWHERE = dict.fromkeys(Checkout().situation("checkout"))


def milliseconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


SCENE: ContextVar[Scene | None] = ContextVar("brokenpipe_scene", default=None)
UNDER_WAY: ContextVar[Checkout | None] = ContextVar("brokenpipe_checkout", default=None)


def request_id() -> str | None:
    """The id of the request in whose course something happens."""
    scene = SCENE.get()
    return scene.id if scene else None
