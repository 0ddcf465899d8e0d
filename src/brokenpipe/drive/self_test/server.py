"""Self-test of server faults, on a Postgres of their own.

    three sessions, read raw ──▶ scratch proxy ──▶ scratch Postgres

A server fault affects all sessions at once, so one injection is observed in all three situations, and faults are
tested one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from brokenpipe.drive.observers.session_observers import OBSERVERS, LoginTarget
from brokenpipe.drive.observers.socket_observers import Observation
from brokenpipe.faults import Fault, ProxyControl, Situation, SocketExpectation

BARRIER_TIMEOUT_S = 30.0  # for three sessions to be open and a server to be back


def observe_at_server(
    fault: Fault, wire: ProxyControl, target: LoginTarget
) -> Mapping[Situation, Observation | str]:
    """What each of three sessions saw of one injection, or why it could see nothing. Heals the fault."""
    # Called once, by the last thread to be ready; if it fails, the barrier is broken for the others.
    together = threading.Barrier(len(OBSERVERS), action=lambda: fault.inject(wire))

    def inject() -> None:
        together.wait(BARRIER_TIMEOUT_S)

    def observe(situation: Situation) -> Observation | str:
        expected: SocketExpectation = getattr(fault.contract, situation)
        try:
            return OBSERVERS[situation](target, inject, fault, expected)
        except OSError as error:
            together.abort()
            return str(error)
        except threading.BrokenBarrierError:
            return "the injection did not happen: another session could not be opened"

    try:
        with ThreadPoolExecutor(len(OBSERVERS), "probe") as observers:
            return dict(zip(OBSERVERS, observers.map(observe, OBSERVERS), strict=True))
    finally:
        fault.heal(wire)
