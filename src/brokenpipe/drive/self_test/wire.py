"""Self-test of all faults of an experiment on this machine, before anything is measured.

Each fault is injected on proxies of its own, and plain sockets observe the three situations of its contract:

    observer's socket ──▶ scratch proxy with the fault ──▶ echo server, or a scratch Postgres

Faults of the wire are tested several at a time, and what may have been late because of that is tested again alone. A
fault that does not meet its contract makes the verdict of an experiment unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from brokenpipe.drive.detection.detect import login_target_of
from brokenpipe.drive.observers.socket_observers import OBSERVERS, Observation
from brokenpipe.drive.self_test.echo_server import echo_server
from brokenpipe.drive.self_test.server import observe_at_server
from brokenpipe.faults import Fault, ProxyControl, Situation, SocketExpectation
from brokenpipe.history.records import SelfTest
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer

_ATTEMPTS = 5  # where a miss can be chance; any other miss counts at once
_AT_ONCE = 16  # mostly waiting; with all of them at once, sockets were seen to end 100 ms late


def _same_proxy(proxy: Proxy) -> ProxyControl:
    return proxy


ScratchPostgres = Callable[[], AbstractContextManager[Postgres]]


def self_test_faults(
    faults: Iterable[Fault],
    server: ToxiproxyServer,
    scratch: ScratchPostgres,
    *,
    wire_of: Callable[[Proxy], ProxyControl] = _same_proxy,
    harness_host: str = LOOPBACK,
    settle: Callable[[], None] | None = None,
) -> list[SelfTest]:
    """Test every different fault in every situation: faults of the wire, then faults of the server.

    Takes half a second for strikes and delays; for an idle limit half as long again as the limit; for each
    fault at the server up to a second, one after the other, on a Postgres of their own that `scratch` starts.
    `wire_of` returns what the faults are injected on: in tests, another object than the proxy itself.
    `harness_host` is the address of this process as seen from the server. `settle` returns when nothing else starts
    on this machine any more, and may be called twice: what does not hold before that is tested again, because a busy
    machine may be the cause.

    Raises StackError when a server fails.
    """
    different = dict.fromkeys(fault.shortened() for fault in faults)
    on_the_wire = [fault for fault in different if fault.place == "wire"]
    at_the_server = [fault for fault in different if fault.place == "server"]
    # One after the other: a starting Postgres would delay what the sockets see.
    wire_results = _test_wire_faults(on_the_wire, server, wire_of, harness_host, settle)
    if settle is not None:
        settle()
    return [*wire_results, *_test_server_faults(at_the_server, server, scratch, wire_of)]


def _test_server_faults(
    faults: Sequence[Fault],
    server: ToxiproxyServer,
    scratch: ScratchPostgres,
    wire_of: Callable[[Proxy], ProxyControl],
) -> list[SelfTest]:
    if not faults:
        return []
    with scratch() as running:
        database = running.create_database("brokenpipe_scratch")
        with server.scratch_proxy((running.host, running.port), database=database) as proxy:
            return [result for fault in faults for result in _test_server_fault(fault, proxy, wire_of(proxy))]


def _test_server_fault(fault: Fault, proxy: Proxy, wire: ProxyControl) -> list[SelfTest]:
    for _ in range(_ATTEMPTS):
        observed = observe_at_server(fault, wire, login_target_of(proxy))
        results = [_result_of(fault, situation, seen) for situation, seen in observed.items()]
        missed = [situation for result, situation in zip(results, observed, strict=True) if not result.held]
        if not missed or not all(_missed_by_chance(fault, each, observed[each]) for each in missed):
            break
    return results


def _missed_by_chance(fault: Fault, situation: Situation, observed: Observation | str) -> bool:
    expected: SocketExpectation = getattr(fault.contract, situation)
    return not isinstance(observed, str) and expected.missed_by_chance(observed.seen, observed.after_s)


def _test_wire_faults(
    faults: Sequence[Fault],
    server: ToxiproxyServer,
    wire_of: Callable[[Proxy], ProxyControl],
    harness_host: str,
    settle: Callable[[], None] | None,
) -> list[SelfTest]:
    cases = [(fault, situation) for fault in faults for situation in OBSERVERS]
    if not cases:
        return []
    with ExitStack() as proxies:
        upstream = proxies.enter_context(echo_server(harness_host))
        scratches = [
            proxies.enter_context(server.scratch_proxy(upstream, rst_on_close=fault.armed))
            for fault, _ in cases
        ]
        observations = [
            partial(_observe, fault, situation, proxy, wire_of(proxy))
            for (fault, situation), proxy in zip(cases, scratches, strict=True)
        ]
        observed_at_once = _observe_at_once(observations)
        if settle is not None:
            settle()
            held = [_held(*case, observed) for case, observed in zip(cases, observed_at_once, strict=True)]
            again = iter(
                _observe_at_once([each for each, kept in zip(observations, held, strict=True) if not kept])
            )
            observed_at_once = [
                observed if kept else next(again)
                for observed, kept in zip(observed_at_once, held, strict=True)
            ]
        # A late observation may be in time when it is alone.
        return [
            _result_of(*case, _retry_alone(observe, case, observed))
            for case, observe, observed in zip(cases, observations, observed_at_once, strict=True)
        ]


def _observe_at_once(observations: Sequence[Callable[[], Observation | str]]) -> list[Observation | str]:
    with ThreadPoolExecutor(_AT_ONCE, "probe") as executor:
        return list(executor.map(lambda observe: observe(), observations))


def _retry_alone(
    observe: Callable[[], Observation | str], case: tuple[Fault, Situation], observed: Observation | str
) -> Observation | str:
    """Repeat an observation alone while it may have missed by chance."""
    for _ in range(_ATTEMPTS):
        if not _missed_by_chance(*case, observed):
            break
        observed = observe()
    return observed


def _result_of(fault: Fault, situation: Situation, observed: Observation | str) -> SelfTest:
    expected: SocketExpectation = getattr(fault.contract, situation)
    return SelfTest(
        t=time.monotonic_ns(),
        fault=fault.name,
        situation=situation,
        expected=str(expected),
        seen=observed if isinstance(observed, str) else observed.seen,
        after_ms=0.0 if isinstance(observed, str) else observed.after_s * 1000,
        held=_held(fault, situation, observed),
        parameters=fault.parameters,
    )


def _held(fault: Fault, situation: Situation, observed: Observation | str) -> bool:
    expected: SocketExpectation = getattr(fault.contract, situation)
    return not isinstance(observed, str) and expected.met_by(observed.seen, observed.after_s)


def _observe(fault: Fault, situation: Situation, proxy: Proxy, wire: ProxyControl) -> Observation | str:
    """What was seen, or why our socket could see nothing."""
    expected: SocketExpectation = getattr(fault.contract, situation)
    try:
        return OBSERVERS[situation]((proxy.host, proxy.port), lambda: fault.inject(wire), expected)
    except OSError as error:
        return str(error)
    finally:
        fault.heal(wire)
