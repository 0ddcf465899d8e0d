"""Sums over unremarkable requests: one line for a quarter of a second, not one for each request.

The sums are of costs: how often a connection was handed out, pinged and opened, and how long that took. Waits for a
connection are listed one by one from a millisecond on, because sums have no percentiles. A request with an error, a
failure, a dead connection or a long wait is not in the sums but has a line of its own; so has one that asked for a
connection while it held another, and one whose parts took longer than the whole: it used several at once.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.safe_call import never_raises

EVERY_REQUEST = bool(os.environ.get("BROKENPIPE_EVERY_REQUEST"))  # a line for each request after all
LONG_NS = 1_000_000_000
LISTED_WAIT_NS = 1_000_000  # a pool with a connection to spare takes 0.02 ms

_LOCK = threading.Lock()


class _Sums:
    """Sums since `began`. Times are in ns."""

    __slots__ = (
        "began",
        "checkouts",
        "connect",
        "failed_ping",
        "fresh",
        "held",
        "loop",
        "ping",
        "pings",
        "request",
        "requests",
        "statements",
        "wait",
        "waits",
    )

    def __init__(self, began: int) -> None:
        self.began = began
        self.requests = self.checkouts = self.pings = self.fresh = 0
        self.ping = self.failed_ping = self.wait = self.connect = self.held = self.request = 0
        self.statements: int | None = 0  # None: of some connection nobody sees what it does
        self.loop: int | None = None  # None: without a loop
        self.waits: list[int] = []


_sums: _Sums | None = None


def add(request: Any, ended: int) -> bool:
    """Add a request to the sums. False, and nothing is added, if it needs a line of its own."""
    if EVERY_REQUEST or request.errors or request.status is None or ended - request.began_ns > LONG_NS:
        return False
    checkouts = request.checkouts
    duration = rest = ended - request.began_ns
    for checkout in checkouts:
        if checkout.dead or checkout.handed is None or checkout.released is None or checkout.holding:
            return False
        rest -= checkout.taken_ns
    if rest < 0:
        return False
    loop = request.loop_ns(ended)
    _add(request.began_ns, duration, None if loop is None else min(loop, rest), checkouts)
    return True


def _add(began: int, duration: int, loop: int | None, checkouts: Any) -> None:
    global _sums  # noqa: PLW0603 (one for the process)
    with _LOCK:
        sums = _sums
        if sums is None:
            sums = _sums = _Sums(began)
        sums.requests += 1
        sums.request += duration
        if loop is not None:
            sums.loop = (sums.loop or 0) + loop
        for checkout in checkouts:
            _add_checkout(sums, checkout)


def _add_checkout(sums: _Sums, checkout: Any) -> None:
    sums.checkouts += 1
    sums.wait += checkout.wait_ns
    sums.held += checkout.released - checkout.handed
    if checkout.wait_ns >= LISTED_WAIT_NS:
        sums.waits.append(checkout.wait_ns)
    if checkout.ping_ns is not None and checkout.connect_ns is None:  # the connection was good
        sums.pings += 1
        sums.ping += checkout.ping_ns
    if checkout.connect_ns is not None:
        sums.fresh += 1
        sums.connect += checkout.connect_ns
        sums.failed_ping += checkout.ping_ns or 0
    if sums.statements is not None:
        known = checkout.statements_ns
        sums.statements = None if known is None else sums.statements + known


def _reset() -> None:
    """Reset in a forked child: the parent writes its own sums, and its thread may have held the lock."""
    global _LOCK, _sums
    _LOCK, _sums = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def take() -> list[dict[str, Any]]:
    """The record of the sums so far, which begin anew; none without requests."""
    global _sums
    with _LOCK:
        sums, _sums = _sums, None
    if sums is None:
        return []
    return [
        {
            "k": "tally",
            "t0": sums.began,
            "t": now(),
            "requests": sums.requests,
            "checkouts": sums.checkouts,
            "pings": sums.pings,
            "ping_ms": round(sums.ping / 1e6, 3),
            "wait_ms": round(sums.wait / 1e6, 3),
            "waits_ms": [round(wait / 1e6, 1) for wait in sums.waits],
            "held_ms": round(sums.held / 1e6, 3),
            "connects": sums.fresh,
            "connect_ms": round(sums.connect / 1e6, 3),
            "failed_ping_ms": round(sums.failed_ping / 1e6, 3),
            "statements_ms": _milliseconds(sums.statements),
            "loop_ms": _milliseconds(sums.loop),
            "request_ms": round(sums.request / 1e6, 3),
        }
    ]


def _milliseconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


@never_raises
def flush() -> None:
    """Write the sums of a process that ends."""
    if records := take():
        write(*records)
