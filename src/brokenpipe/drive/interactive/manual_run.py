"""A run by hand: users act, and faults come from the web page.

It is recorded as a run by file is, so that it is measured and reported in the same way. Its phases are made as they
are needed, one for each fault with its parameters and the arms that it happens to; `hands_off` lies between them:

    hands_off      ▇▇▇▇│▇▇▇▇│▇▇▁▁▁▁▁▁▇▇▇▇│▇▇▇▇▁▁▁▁▁▁▁▁▁▁▁▁▇▇▇▇
    hand_…                    ├▇▇↯▇▇┤           ├▇▇▇▇│▇▇▇▇│▇┤
                            a strike is          held: blocks of 2 s,
                            one episode          the last as long as it lasted

What was struck began in its own episode, so that one starts a moment before its strike. A block of hands_off that is
cut short by a fault does not count, nor does what follows a healing at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from brokenpipe.drive.interactive.command_queue import Command, CommandQueue
from brokenpipe.drive.interactive.manual_phases import NO_FAULT_PHASE, ManualPhases
from brokenpipe.drive.run_session import RunSession
from brokenpipe.drive.timeline import WARM_UP_S, TimelineAborted, TimelinePlayer
from brokenpipe.faults import Fault
from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.plan.phases import BLOCK_S, SETTLE_S, Phase
from brokenpipe.plan.plan import Plan
from brokenpipe.progress import Progress

POLL_S = 0.1
# Of an episode before its strike: requests that take no longer begin in the episode that breaks them.
BEFORE_STRIKE_S = 0.5
AFTER_STRIKE_S = 1.5  # … and after it


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


@dataclass(slots=True)
class ManualRun:
    """Carries out the commands of a queue until Stop is pressed.

    `on_plan` is called with each new plan before any of it happens. `self_test` tests a fault on raw sockets.
    `activity` is what is going on, in words for the page.
    """

    session: RunSession
    plan: Plan
    commands: CommandQueue
    on_plan: Callable[[Plan], None]
    self_test: Callable[[Fault], None]
    activity: str = "starting"
    playing: Progress | None = None
    _users: int = 0  # of each arm, as last recorded
    _phases: ManualPhases = field(default_factory=ManualPhases)
    _phase: Phase | None = None
    _since: int = 0  # when the current block began, or when load counts again

    @property
    def phase(self) -> str:
        return self._phase.name if self._phase else ""

    def run(self) -> None:
        """Run until Stop is pressed. Raises StackError, UsageError or RecordingError when it cannot go on."""
        self._users = self.plan.scenario.load.users
        self.session.nemesis.time_round_trips()
        self.session.load.open()
        self._enter(NO_FAULT_PHASE, time.monotonic_ns() + _ns(WARM_UP_S + SETTLE_S))
        while self.commands.stop_requested_at is None:
            command = self.commands.take_next(POLL_S)
            self._poll()
            if command:
                self._carry_out(command)
        self._leave(self.commands.stop_requested_at)
        self.session.nemesis.heal(self.phase or NO_FAULT_PHASE.name)
        self.commands.finish(held=None)

    # --- commands ------------------------------------------------------------------------------------

    def _carry_out(self, command: Command) -> None:
        try:
            _ACTIONS[command.name](self, command)
        finally:
            self.commands.finish(held=self._phase.fault if self._phase else None)

    def _strike(self, command: Command) -> None:
        assert command.fault is not None
        fault, phase = command.fault, self._prepare(command.fault, command.arms)
        begin = max(self._since, time.monotonic_ns() - _ns(BEFORE_STRIKE_S))
        self._wait(begin + _ns(BEFORE_STRIKE_S))
        if self.commands.stop_requested_at is not None:
            return
        self._leave(begin)
        self.session.record_phase(phase.name, "begin", begin)
        n = self._phases.next_episode(phase)
        tail_s = max(AFTER_STRIKE_S, fault.min_interval_s)
        self.activity = f"{fault} struck"
        strike = self.session.nemesis.strike(fault, phase.name, n, time.monotonic() + tail_s, command.arms)
        self._wait(strike + _ns(tail_s))
        self.session.nemesis.join()
        if fault.deferred:
            self.session.nemesis.heal(phase.name)
        end = min(time.monotonic_ns(), self.commands.stop_requested_at or time.monotonic_ns())
        self.session.record_episode(phase.name, n, begin, end, strike)
        self.session.record_phase(phase.name, "end", end)
        self._enter(NO_FAULT_PHASE, end)

    def _hold(self, command: Command) -> None:
        assert command.fault is not None
        phase = self._prepare(command.fault, command.arms)
        if self.commands.stop_requested_at is not None:
            return
        self._leave(time.monotonic_ns())
        self.session.nemesis.inject(command.fault, phase.name, arms=command.arms)
        self._enter(phase, time.monotonic_ns())
        self.activity = f"{command.fault} is held"

    def _heal(self, _: Command | None = None) -> None:
        assert self._phase is not None
        name = self._phase.name
        self._leave(time.monotonic_ns())
        self.session.nemesis.heal(name)
        self._enter(NO_FAULT_PHASE, time.monotonic_ns() + _ns(SETTLE_S))

    def _play(self, _: Command) -> None:
        """Play the scenario's own timeline, as in a run by file."""
        self._leave(time.monotonic_ns())
        scenario = self.plan.scenario
        episode_ranges = self._phases.next_timeline(scenario)
        self._publish_plan()
        try:
            TimelinePlayer(
                session=replace(self.session, check_alive=self._check_not_aborted),
                scenario=scenario,
                episode_ranges=episode_ranges,
                on_progress=self._show_progress,
                started=time.monotonic(),
                total_s=scenario.forecast_s,
                stop_on_failing_service=False,  # the page shows what fails, and can abort
            ).run()
        except TimelineAborted:
            self.session.nemesis.heal(NO_FAULT_PHASE.name)
        self.playing = None
        if self.commands.stop_requested_at is None:
            self._drain()
            self.session.load.open()
            self._enter(NO_FAULT_PHASE, time.monotonic_ns() + _ns(SETTLE_S))

    def _ignore(self, _: Command) -> None:
        """A command that came too late, or that needs nothing here."""

    # --- phases and their blocks --------------------------------------------------------------------

    def _prepare(self, fault: Fault, arms: tuple[str, ...]) -> Phase:
        """The phase of a fault, after its self-test, and with connections open that end as it asks."""
        self.activity = f"trying {fault} on raw sockets"
        self.self_test(fault)
        phase = self._phases.phase_for(fault, arms)
        self._publish_plan()
        if self.session.nemesis.arms_to_renew(fault, arms):
            self._leave(time.monotonic_ns())
            self._renew(phase)
        return phase

    def _renew(self, phase: Phase) -> None:
        """Renew connections so that they end as the phase's fault asks, and wait until the arms answer again."""
        assert phase.fault is not None
        self.activity = f"opening connections anew, to end by {'RST' if phase.fault.armed else 'FIN'}"
        self._drain()
        renewed = self.session.nemesis.renew(phase.fault, phase.name, phase.arms)
        self.session.nemesis.time_round_trips()
        self.session.load.open()
        self.session.wait_for_renewal(
            renewed,
            phase.name,
            lambda: self._wait(time.monotonic_ns() + _ns(POLL_S)),
            stopped=lambda: self.commands.stop_requested_at is not None,
        )
        self._enter(NO_FAULT_PHASE, time.monotonic_ns() + _ns(SETTLE_S))

    def _drain(self) -> None:
        """Close the gate and wait until no request is in flight; record a doubt if some still are."""
        if (waited_s := self.session.drain()) is not None:
            self.session.record_not_drained(waited_s, NO_FAULT_PHASE.name)

    def _enter(self, phase: Phase, at: int) -> None:
        self._wait(at)
        at = min(at, time.monotonic_ns())  # Stop may have been pressed meanwhile
        self._phase, self._since = phase, at
        self.session.record_phase(phase.name, "begin", at)
        self.activity = "hands off"
        self._check_held_fault()

    def _leave(self, at: int) -> None:
        """End the current phase. The last block of a held fault counts, however short."""
        if self._phase is None:
            return
        phase, self._phase = self._phase, None
        self.session.nemesis.join()
        at = max(at, self._since)
        if phase.fault and at > self._since:
            self._record_block(phase, at)
        self.session.record_phase(phase.name, "end", at)
        self._publish_plan()

    def _poll(self) -> None:
        """Check load, processes and users, and record each block that is over."""
        self.session.load.check()
        self._count_users()
        self.session.check_alive(self.phase or None)
        while self._phase and time.monotonic_ns() >= self._since + _ns(BLOCK_S):
            over = self._since + _ns(BLOCK_S)
            self._record_block(self._phase, over)
            self._since = over
            self._check_held_fault()

    def _count_users(self) -> None:
        if self.commands.users != self._users:
            text = f"each arm has {self.commands.users} users instead of {self._users}"
            self.session.log.write(records.RecordedDoubt.of(Code.USERS_CHANGED, text))
            self._users = self.commands.users

    def _check_held_fault(self) -> None:
        if self._phase and self._phase.fault:
            n = self._phases.episodes(self._phase)
            self.session.nemesis.check_held_fault(self._phase.fault, self._phase.name, n, self._phase.arms)

    def _wait(self, until_ns: int) -> None:
        while (
            left_s := (until_ns - time.monotonic_ns()) / 1e9
        ) > 0 and self.commands.stop_requested_at is None:
            self._poll()
            time.sleep(min(left_s, POLL_S))

    def _record_block(self, phase: Phase, end: int) -> None:
        self.session.record_episode(phase.name, self._phases.next_episode(phase), self._since, end, None)

    def _publish_plan(self) -> None:
        self.on_plan(self._phases.plan_so_far(self.plan))

    # --- while the timeline is played ---------------------------------------------------------------

    def _check_not_aborted(self, phase: str | None) -> None:
        self.session.check_alive(phase)
        if self.commands.stop_requested_at is not None or self.commands.take_pending("break_off"):
            raise TimelineAborted

    def _show_progress(self, progress: Progress) -> None:
        self.playing = replace(progress, arms=())
        self.activity = f"the timeline: {progress.phase or progress.message}"


_ACTIONS: dict[str, Callable[[ManualRun, Command], None]] = {
    "strike": ManualRun._strike,
    "hold": ManualRun._hold,
    "heal": ManualRun._heal,
    "play": ManualRun._play,
    "break_off": ManualRun._ignore,
    "report": ManualRun._ignore,
}
