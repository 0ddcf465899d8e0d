"""The only actor that injects and heals faults; it records each action.

Every action goes to all arms, or to those named, at the same moment, from a thread for each; the times before and after
the call are recorded. For each strike a raw socket through the arm's own proxy detects whether the fault took effect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from brokenpipe.drive.detection.detect import (
    Detection,
    detect_deferred_strike,
    detect_end,
    detect_held,
    open_sentinel_for,
    round_trip_ms,
)
from brokenpipe.errors import ProxyHung, StackError
from brokenpipe.faults import Fault
from brokenpipe.history.records import Action, FaultAction, FaultDetection, RecordedDoubt
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer
from brokenpipe.plan.phases import Phase
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer

SENTINELS_OPEN_S = 2.0  # to open the sentinels of a strike: measured about 5 ms
ROUND_TRIPS_S = 3.0  # for the round trips of all arms without a fault: measured about 10 ms each
EVERY_ARM: tuple[str, ...] = ()  # empty `arms` mean every arm, as in a scenario


@dataclass(frozen=True, slots=True)
class _HeldFault:
    """A fault that was injected and must be healed, and its arms."""

    fault: Fault
    arms: tuple[str, ...]


@dataclass(slots=True)
class Nemesis:
    """Acts on the proxies of all arms. Made by `nemesis`."""

    proxies: Mapping[str, Proxy]
    server: ToxiproxyServer
    log: Writer
    doubts: Writer
    pool: ThreadPoolExecutor
    _held: list[_HeldFault] = field(default_factory=list)
    _baseline_trip_ms: dict[str, float] = field(default_factory=dict)
    _detections: list[Future[None]] = field(default_factory=list)

    def prepare(self, phase: Phase) -> tuple[str, ...]:
        """Prepare a phase, drained: heal, and renew connections that would end otherwise. Returns the arms renewed."""
        self.heal(phase.name)
        renewed = self.renew(phase.fault, phase.name, phase.arms) if phase.fault else ()
        self.time_round_trips()
        return renewed

    def arms_to_renew(self, fault: Fault, arms: tuple[str, ...] = EVERY_ARM) -> tuple[str, ...]:
        """The arms whose connections would not end as this fault asks (RST or FIN)."""
        if fault.ending is None:
            return ()
        return tuple(
            arm for arm, proxy in self._proxies_of(arms).items() if proxy.rst_on_close != fault.armed
        )

    def renew(self, fault: Fault, phase: str, arms: tuple[str, ...] = EVERY_ARM) -> tuple[str, ...]:
        """End every connection that would not end as the fault asks, so that new ones are opened. Returns the arms.

        Call it drained and healed. What a service does about it is caused by the harness, and recorded as such.
        """

        def renew_one(proxy: Proxy) -> None:
            proxy.set_rst_on_close(fault.armed)
            proxy.kill()

        if others := self.arms_to_renew(fault, arms):
            self._act_on_arms("renew", None, phase, None, renew_one, others)
        return others

    def time_round_trips(self) -> None:
        """Measure round trips without a fault, to compare latency with. A hanging server delays this briefly only."""
        self._baseline_trip_ms.clear()
        until = time.monotonic() + ROUND_TRIPS_S
        for arm, proxy in self.proxies.items():
            left_s = max(until - time.monotonic(), 0.05)
            with suppress(OSError):  # no answer: latency in this arm cannot be detected
                self._baseline_trip_ms[arm] = round_trip_ms(proxy, left_s)

    def inject(
        self, fault: Fault, phase: str, episode: int | None = None, arms: tuple[str, ...] = EVERY_ARM
    ) -> int:
        """Inject a fault. Returns the time before the first call."""
        before = time.monotonic_ns()
        if not fault.momentary or fault.deferred:
            self._held.append(_HeldFault(fault, arms))
        if fault.shared:
            everywhere = tuple(self.proxies.values())
            self._act_once_for_all(
                "inject", fault, phase, episode, lambda: fault.inject_everywhere(everywhere)
            )
        else:
            self._act_on_arms("inject", fault, phase, episode, fault.inject, arms)
        return before

    def heal(self, phase: str) -> None:
        """Heal every held fault."""
        while self._held:
            held = self._held.pop()
            fault, arms = held.fault, held.arms
            if fault.shared:
                anywhere = next(iter(self.proxies.values()))
                self._act_once_for_all("heal", fault, phase, None, partial(fault.heal, anywhere))
            else:
                self._act_on_arms("heal", fault, phase, None, fault.heal, arms)

    def strike(
        self, fault: Fault, phase: str, episode: int, until: float, arms: tuple[str, ...] = EVERY_ARM
    ) -> int:
        """Inject a momentary fault while sentinels watch. Returns the time before the first call.

        `until` is the end of the episode (time.monotonic()): a deferred strike has until then to take effect.
        """
        if fault.deferred:
            before = self.inject(fault, phase, episode, arms)
            for arm, proxy in self._proxies_of(arms).items():
                self._detect_later(
                    arm, fault, phase, episode, partial(detect_deferred_strike, proxy, fault, before, until)
                )
            return before
        opened = {
            arm: self.pool.submit(open_sentinel_for, fault, proxy)
            for arm, proxy in self._proxies_of(arms).items()
        }
        wait(opened.values(), timeout=SENTINELS_OPEN_S)  # a sentinel that is not open by then detects nothing
        before = self.inject(fault, phase, episode, arms)
        for arm, sentinel in opened.items():
            self._detect_later(arm, fault, phase, episode, partial(detect_end, sentinel, fault, before))
        return before

    def check_held_fault(
        self, fault: Fault, phase: str, episode: int, arms: tuple[str, ...] = EVERY_ARM
    ) -> None:
        """Detect the held fault in each arm, by one raw socket."""
        for arm, proxy in self._proxies_of(arms).items():
            baseline_ms = self._baseline_trip_ms.get(arm)
            self._detect_later(arm, fault, phase, episode, partial(detect_held, proxy, fault, baseline_ms))

    def end_all_connections(self, phase: str = "end") -> None:
        """End every connection. This counts as no strike."""
        self._act_on_arms("clear", None, phase, None, lambda proxy: proxy.kill())

    def join(self) -> None:
        """Wait for every detection that is still running."""
        detections, self._detections = self._detections, []
        for detection in detections:
            detection.result()

    def _proxies_of(self, arms: tuple[str, ...]) -> Mapping[str, Proxy]:
        return {arm: self.proxies[arm] for arm in arms} if arms else self.proxies

    def _detect_later(
        self, arm: str, fault: Fault, phase: str, episode: int, detect: Callable[[], Detection]
    ) -> None:
        def record() -> None:
            detection = detect()
            self.log.write(
                FaultDetection(
                    t=time.monotonic_ns(),
                    fault=fault.name,
                    arm=arm,
                    phase=phase,
                    episode=episode,
                    expected=str(fault.expected_effect),
                    seen=detection.seen,
                    after_ms=detection.after_ms,
                    landed=detection.landed,
                    parameters=fault.parameters,
                    timed_from=fault.expected_effect.since,
                )
            )

        self._detections.append(self.pool.submit(record))

    def _act_on_arms(
        self,
        action: Action,
        fault: Fault | None,
        phase: str,
        episode: int | None,
        do: Callable[[Proxy], None],
        arms: tuple[str, ...] = EVERY_ARM,
    ) -> None:
        """Act on these arms at once and record each action. A hanging server is restarted, and a doubt recorded."""

        def one(arm: str, proxy: Proxy) -> StackError | None:
            t0, problem = time.monotonic_ns(), _error_of(partial(do, proxy))
            self._record_action(action, fault, phase, episode, arm, t0, problem)
            return problem

        results = [self.pool.submit(one, arm, proxy) for arm, proxy in self._proxies_of(arms).items()]
        self._record_errors([error for result in results if (error := result.result())], phase, episode)

    def _act_once_for_all(
        self, action: Action, fault: Fault | None, phase: str, episode: int | None, do: Callable[[], None]
    ) -> None:
        """Act once on what all arms share, and record the action for each arm."""
        t0, problem = time.monotonic_ns(), self.pool.submit(_error_of, do).result()
        for arm in self.proxies:
            self._record_action(action, fault, phase, episode, arm, t0, problem)
        self._record_errors([problem] if problem else [], phase, episode)

    def _record_action(
        self,
        action: Action,
        fault: Fault | None,
        phase: str,
        episode: int | None,
        arm: str,
        t0: int,
        problem: StackError | None,
    ) -> None:
        error = problem.message if problem else None
        t1 = time.monotonic_ns()
        self.log.write(
            FaultAction(
                t0,
                t1,
                action=action,
                fault=fault.name if fault else None,
                arm=arm,
                phase=phase,
                episode=episode,
                error=error,
                parameters=fault.parameters if fault else None,
            )
        )

    def _record_errors(self, problems: Sequence[StackError], phase: str, episode: int | None) -> None:
        if problems:
            self._record_doubt(problems[0], phase)
        if any(isinstance(problem, ProxyHung) for problem in problems):
            self._restart(phase, episode)

    def _restart(self, phase: str, episode: int | None) -> None:
        t0 = time.monotonic_ns()
        self.server.restart()
        # Every toxic is neutral now.
        self._held = [held for held in self._held if held.fault.place != "wire"]
        for arm in self.proxies:
            t1 = time.monotonic_ns()
            act = FaultAction(t0, t1, action="restart", fault=None, arm=arm, phase=phase, episode=episode)
            self.log.write(act)

    def _record_doubt(self, problem: StackError, phase: str) -> None:
        hung = isinstance(problem, ProxyHung)
        code = Code.PROXY_RESTARTED if hung else Code.ACT_FAILED
        text = f"in {phase}: {problem.message}" + ("; Toxiproxy was restarted" if hung else "")
        self.doubts.write(RecordedDoubt.of(code, text, phase=phase))


def _error_of(do: Callable[[], None]) -> StackError | None:
    try:
        do()
    except StackError as problem:
        return problem
    return None


@contextmanager
def nemesis(
    proxies: Mapping[str, Proxy], server: ToxiproxyServer, log: Writer, doubts: Writer
) -> Iterator[Nemesis]:
    """A nemesis for as long as the block lasts; what it holds is healed at the end."""
    pool = ThreadPoolExecutor(max_workers=4 * max(1, len(proxies)), thread_name_prefix="nemesis")
    actor = Nemesis(proxies, server, log, doubts, pool)
    wait_for_detections = False
    try:
        yield actor
        wait_for_detections = True
    finally:
        try:
            actor.heal("end")
        finally:
            # After an error no detection is waited for: it may take a minute, and ends with the server.
            pool.shutdown(wait=wait_for_detections, cancel_futures=True)
