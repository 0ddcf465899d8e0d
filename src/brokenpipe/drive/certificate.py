"""Proof, before anything is measured, that the faults of an experiment do on this machine what they say.

Each fault is injected on proxies of its own, and plain sockets watch the three situations of its contract:

    a probe's socket ──▶ scratch proxy with the fault ──▶ echo server

All probes run at once, so the whole takes as long as the slowest of them. A fault that does not hold makes
the verdict of an experiment unknown, whatever its numbers say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from brokenpipe.drive.echo import echo_server
from brokenpipe.drive.situations import OBSERVERS, Observation
from brokenpipe.faults import Expectation, Fault, Situation, Wire
from brokenpipe.stack.proxy import Proxy
from brokenpipe.stack.toxiproxy import ToxiproxyServer

_ATTEMPTS = 5  # where a miss can be chance; what is wrong otherwise is wrong at once


@dataclass(frozen=True, slots=True)
class ContractProbe:
    """One fault in one situation: what was promised and what a plain socket saw.

    `parameters` tells what was probed: the fault with its times cut short, to a second at most.
    `after_ms` counts from what `expected.since` names.
    """

    fault: str
    parameters: str
    situation: Situation
    expected: Expectation
    seen: str
    after_ms: float
    held: bool

    def __str__(self) -> str:
        outcome = "held" if self.held else f"did not hold: expected {self.expected}"
        return f"{self.parameters}, {self.situation}: {outcome}; seen {self.seen} at {self.after_ms:.1f} ms"


def _itself(proxy: Proxy) -> Wire:
    return proxy


def certify(
    faults: Iterable[Fault], server: ToxiproxyServer, *, wire_of: Callable[[Proxy], Wire] = _itself
) -> list[ContractProbe]:
    """Probe every different fault in every situation, on scratch proxies of a running server.

    Takes half a second for strikes and delays; for an idle limit half as long again as the limit. `wire_of`
    says what the faults are injected on; another than the proxy itself shows that a probe notices.

    Raises ProxyError or ProxyHung when the server fails.
    """
    cases = [
        (fault, situation) for fault in dict.fromkeys(f.brief() for f in faults) for situation in OBSERVERS
    ]
    if not cases:
        return []
    with ExitStack() as proxies:
        upstream = proxies.enter_context(echo_server())
        scratches = [
            proxies.enter_context(server.scratch_proxy(upstream, armed=fault.armed)) for fault, _ in cases
        ]
        probers = proxies.enter_context(ThreadPoolExecutor(len(cases), "probe"))
        running = [
            probers.submit(_probe, fault, situation, proxy, wire_of(proxy))
            for (fault, situation), proxy in zip(cases, scratches, strict=True)
        ]
        return [probe.result() for probe in running]


def _probe(fault: Fault, situation: Situation, proxy: Proxy, wire: Wire) -> ContractProbe:
    expected: Expectation = getattr(fault.contract, situation)
    for _ in range(_ATTEMPTS):
        observed = _observe(fault, situation, expected, proxy, wire)
        if not expected.missed_by_chance(observed.seen, observed.after_s):
            break
    return ContractProbe(
        fault=fault.name,
        parameters=str(fault),
        situation=situation,
        expected=expected,
        seen=observed.seen,
        after_ms=observed.after_s * 1000,
        held=expected.met_by(observed.seen, observed.after_s),
    )


def _observe(
    fault: Fault, situation: Situation, expected: Expectation, proxy: Proxy, wire: Wire
) -> Observation:
    try:
        return OBSERVERS[situation]((proxy.host, proxy.port), lambda: fault.inject(wire), expected)
    finally:
        fault.heal(wire)
