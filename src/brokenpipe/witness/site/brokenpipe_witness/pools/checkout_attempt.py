"""Asking a driver's pool for a connection, until it is handed out or the attempt has failed.

asked ─▶ waits ─▶ (the pool connects) ─▶ (pings ─▶ pauses ─▶ waits …) ─▶ handed out
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from brokenpipe_witness import socket_state
from brokenpipe_witness.checkout import Checkout, milliseconds
from brokenpipe_witness.connection_info import DriverConnection
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.pool_state import PoolState
from brokenpipe_witness.request_context import CURRENT_CHECKOUT, current_request, current_request_id
from brokenpipe_witness.safe_call import never_raises


class CheckoutAttempt:
    """One attempt. `failed_before`: how many connections the pool had failed to open when it was asked."""

    __slots__ = ("checkout", "failed_before", "outer", "request", "state")

    def __init__(self, state: PoolState) -> None:
        self.state = state
        self.failed_before = state.connects_failed
        self.checkout = Checkout()
        self.outer = CURRENT_CHECKOUT.get()
        self.request = current_request()
        CURRENT_CHECKOUT.set(self.checkout)
        if self.request is not None:
            self.request.pending_checkout = self.checkout
            self._count_held()

    def _count_held(self) -> None:
        """Count the connections held by the same task and thread. Others give back theirs independently."""
        request, checkout = self.request, self.checkout
        if request is not None:
            checkout.owner = (self.state.number, threading.get_ident(), _current_task())
            checkout.holding = request.held_count(checkout.owner) if request.checkouts else 0

    def _end(self) -> None:
        CURRENT_CHECKOUT.set(self.outer)
        if self.request is not None:
            self.request.pending_checkout = None


def _current_task() -> int | None:
    try:
        return id(asyncio.current_task())
    except RuntimeError:  # no event loop runs in this thread
        return None


@never_raises
def hand_out(attempt: CheckoutAttempt, connection: Any, info: DriverConnection | None) -> None:
    """The pool has returned `connection`; `info` is None for one that was never seen."""
    attempt._end()
    checkout = attempt.checkout
    end_backoff(checkout)
    checkout.dead = socket_state.is_dead(connection)
    checkout.handed = now()
    checkout.count_lateness(checkout.handed)
    if not checkout.dead:
        checkout.alive_at = checkout.handed
    if info is not None:
        checkout.port = info.port
        checkout.last_used = checkout.handed if checkout.ping_ns is not None else info.last_used
        info.incident = None
        info.checkout = checkout
        info.request_id = attempt.request.id if attempt.request is not None else None
        info.returning = False
        attempt.state.out += 1
    if attempt.request is not None:
        attempt.request.checkouts.append(checkout)


@never_raises
def fail_attempt(attempt: CheckoutAttempt, error: BaseException) -> None:
    """The pool gave none."""
    checkout, request, state = attempt.checkout, attempt.request, attempt.state
    end_backoff(checkout)
    if request is not None:
        request.add_error(
            checkout.stage,
            error,
            error,
            port=checkout.port,
            began=checkout.asked if checkout.stage == "checkout" else checkout.stage_began,
            holding=checkout.holding,
            pool_state=_state_of(attempt, state),
        )
    attempt._end()


def _state_of(attempt: CheckoutAttempt, state: PoolState) -> dict[str, Any]:
    failed_connects = state.connects_failed - attempt.failed_before
    numbers = state.read()
    return {
        "out": state.out,
        "most": numbers.most if numbers is not None else None,
        "failed_pings": attempt.checkout.failed_pings,
        "failed_connects": failed_connects,
        "last_failure": state.last_failure if failed_connects else None,
        "backoff_ms": milliseconds(attempt.checkout.backoff_ns),
    }


@never_raises
def begin_ping(connection: Any, info: DriverConnection | None) -> Checkout | None:
    """The pool tests a connection before it hands it out. None: for no checkout."""
    checkout = CURRENT_CHECKOUT.get()
    if checkout is not None:
        checkout.port = info.port if info is not None else None
        checkout.ping_began_dead = socket_state.is_dead(connection)
        checkout.stage, checkout.stage_began = "ping", now()
    return checkout


def end_ping(checkout: Checkout) -> None:
    """It is good."""
    checkout.ping_ns = now() - checkout.stage_began
    checkout.stage = "checkout"


@never_raises
def fail_ping(checkout: Checkout, info: DriverConnection | None, error: BaseException) -> None:
    """It is dead, and the pool tries another. One that was cancelled has found nothing."""
    if not isinstance(error, Exception):
        return
    t = now()
    checkout.failed_pings += 1
    checkout.failed_pings_ns = (checkout.failed_pings_ns or 0) + t - checkout.stage_began
    if info is not None:
        info.incident = "ping"
    write(
        {
            "k": "ping_failed",
            "t": t,
            "port": checkout.port,
            "id": current_request_id(),
            "ms": milliseconds(t - checkout.stage_began),
            "dead": checkout.ping_began_dead,
        }
    )
    checkout.stage, checkout.backoff_began = "checkout", t


def end_backoff(checkout: Checkout) -> None:
    """The pool has paused, if it has, and goes on."""
    if checkout.backoff_began is not None:
        checkout.backoff_ns = (checkout.backoff_ns or 0) + now() - checkout.backoff_began
        checkout.backoff_began = None
