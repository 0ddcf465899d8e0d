"""Plays the timeline: phase after phase, load and faults in step, every edge recorded.

a phase ends         close gate, heal while requests wait, drain: a fault lasts what it says
between two phases   renew connections if they must end in another way, open gate, settle
blocks               ▇▇▇▇│▇▇▇▇│▇▇▇▇     episodes are marks on steady load
blocks, held         ▇├▇▇▇│▇▇▇│▇▇▇┤      the fault comes under load; what hits requests comes a moment after the begin
blocks, isolated     ▇▁│▁▇│▁▇│▇▁        the arms take turns, ABBA; before each turn a moment that does not count
strikes              ▇▇↯▇│▇▇↯▇│▇▇↯▇     the strike is in the middle, so what it breaks starts in its own episode
bursts               ▁▁▇▇│▁▁▇▇│▁▁▇▇     the gate is closed while quiet
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from brokenpipe.drive.broken_service import failing_arms
from brokenpipe.drive.renewal import each_arm_answered
from brokenpipe.drive.run_session import RunSession
from brokenpipe.drive.watch.wait_limit import PartHungError, WaitLimit
from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.load.messages import Count
from brokenpipe.plan.phases import SETTLE_S, Pattern, Phase
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.sequential import EpisodeRange
from brokenpipe.progress import ArmProgress, Progress

PROGRESS_EVERY_S = 0.25
LEAD_IN_S = 0.6  # of an arm's turn: released at once, its users need so long to be out of step again
FIRST_ISOLATED_SEED_INDEX = (
    1_000_000  # the numbers of what arrives in turns, above those of every other opening of the gate
)
RECENT_S = 3.0  # how far back the display counts recent failures
LEAST_WARM_UP_S = 1.2  # before the first phase, once: imports, plan caches, the first connections
WARM_UP_S = 2.0  # at most, if some arm has not answered each of its users by then
ANSWERS_CHECK_S = 0.1  # the load counts twice a second
LOAD_FLUSH_S = 1.0  # until the history has all requests: the load writes five times a second
STRIKE_AT_SHARE_OF_QUIET = 0.6  # share of a quiet stretch after which a momentary fault strikes the idle pool


Outcome = Literal["done", "stopped", "hung"]
"""How a timeline ended: played to its end; stopped as a service did not work; or a part of the run hung."""


class TimelineAborted(Exception):
    """The timeline was stopped from outside, before its end. Raised by `check_alive`."""


@dataclass(slots=True)
class TimelinePlayer:
    """One execution of a timeline on a running stack and a ready load.

    `episode_ranges` is what to play, in order. When all of it is played and recorded, `next_ranges` is called with the
    number of episodes of each phase, and returns what to play next; it is called again until it returns nothing.
    """

    session: RunSession
    scenario: Scenario
    episode_ranges: Sequence[EpisodeRange]
    on_progress: Callable[[Progress], None]
    started: float  # of the whole run, on the monotonic clock: what `total_s` counts from
    total_s: float
    next_ranges: Callable[[Mapping[str, int]], Sequence[EpisodeRange]] | None = None
    played_before: Mapping[str, int] = field(default_factory=dict)  # episodes of each phase, of earlier parts
    stop_on_failing_service: bool = True  # stop after a phase without a fault in which a service fails
    _planned_end: float = math.inf  # counted from the first phase: starting up may take any time
    _phase: Phase | None = None
    _episodes: int = 0
    _episode: int = 0
    _failed_counts: deque[tuple[float, dict[str, int]]] = field(default_factory=deque)
    _wait_limit: WaitLimit = field(init=False)

    def __post_init__(self) -> None:
        self._wait_limit = WaitLimit(self.session.watch)

    def run(self) -> Outcome:
        """Play all episodes. Raises UsageError, StackError or RecordingError when it cannot go on."""
        try:
            return self._play_all()
        except PartHungError:
            return "hung"

    def _play_all(self) -> Outcome:
        played = dict(self.played_before)
        self._planned_end = time.monotonic() + self._forecast_s(self.episode_ranges)
        self.total_s = self._planned_end - self.started
        episode_ranges = self.episode_ranges or self._extend(played)
        first = True
        while episode_ranges:
            for episode_range in episode_ranges:
                before = self.session.load.progress
                self._play(episode_range, warm_up=first)
                if self.stop_on_failing_service and failing_arms(
                    episode_range.phase, before, self.session.load.progress
                ):
                    self._pause()
                    return "stopped"
                first = False
                played[episode_range.phase.name] = episode_range.first + episode_range.count
            self._pause()
            episode_ranges = self._extend(played)
        return "done"

    def _play(self, episode_range: EpisodeRange, *, warm_up: bool) -> None:
        self._pause()
        phase = episode_range.phase
        self._phase, self._episode, self._episodes = phase, 0, episode_range.first + episode_range.count
        self._enter_phase(phase, warm_up=warm_up)
        self.session.record_phase(phase.name, "begin", time.monotonic_ns())
        try:
            _PLAYERS[phase.pattern](self, episode_range)
        except (TimelineAborted, PartHungError):
            self._end_phase(phase)
            raise
        self._end_phase(phase)

    def _end_phase(self, phase: Phase) -> None:
        """End a phase: heal while requests still wait, and only then let them end."""
        self.session.load.close()
        if phase.fault and (phase.fault.deferred or phase.fault.contract.idle.seen == "delayed"):
            self.session.nemesis.join()  # their detection takes as long as an episode, or longer
        self.session.nemesis.heal(phase.name)
        self._wait_limit.server_is_held = False
        over = time.monotonic_ns()
        self.session.nemesis.join()
        self.session.record_phase(phase.name, "end", over)

    def _extend(self, played: Mapping[str, int]) -> Sequence[EpisodeRange]:
        if self.next_ranges is None:
            return ()
        self._wait(time.monotonic() + LOAD_FLUSH_S)
        episode_ranges = self.next_ranges(played)
        self._planned_end = time.monotonic() + self._forecast_s(episode_ranges)
        self.total_s = self._planned_end - self.started
        return episode_ranges

    def _forecast_s(self, episode_ranges: Sequence[EpisodeRange]) -> float:
        return sum(episode_range.forecast_of(self.scenario) for episode_range in episode_ranges)

    # --- between phases -----------------------------------------------------------------------------

    def _enter_phase(self, phase: Phase, *, warm_up: bool) -> None:
        """Prepare a phase while the load is drained, then let users act for a while that does not count."""
        renewed = self.session.nemesis.prepare(phase)
        before = self.session.load.progress
        self.session.load.open()
        if renewed:
            self.session.wait_for_renewal(
                renewed, phase.name, self._wait_a_moment, give_up=self._wait_limit.should_give_up
            )
        if warm_up:
            self._wait_for_answers(before, LEAST_WARM_UP_S, WARM_UP_S)
        least_s = phase.burst_s or SETTLE_S  # a longer lead-in would be unlike the bursts that count
        self._wait_for_answers(before, least_s, max(least_s, SETTLE_S))
        if phase.settles_s:
            self._inject_held(phase)
            self._wait(time.monotonic() + phase.settles_s)
        if phase.pattern is Pattern.BURSTS:
            self._pause()

    def _wait_for_answers(self, before: Mapping[str, Count], least_s: float, most_s: float) -> None:
        """Wait until each arm has answered as many requests as it has users, from `least_s` to `most_s` seconds."""
        begun = time.monotonic()
        self._wait(begun + least_s)
        while (now := time.monotonic()) < begun + most_s and not each_arm_answered(
            self.scenario.load.users, before, self.session.load.progress
        ):
            self._wait(min(begun + most_s, now + ANSWERS_CHECK_S))

    def _inject_held(self, phase: Phase) -> int | None:
        """Inject the held fault of the phase. Returns when; None: the phase holds no fault."""
        if phase.fault is None or phase.fault.momentary:
            return None
        self._wait_limit.server_is_held = phase.fault.place == "server"
        return self.session.nemesis.inject(phase.fault, phase.name, arms=phase.arms)

    def _pause(self) -> None:
        """Close the gate and wait until no request is in flight; record a doubt if some still are."""
        since = time.monotonic()
        waited_s = self.session.drain(self._wait_limit.should_give_up)
        self._wait_limit.raise_if_hung(since - self._planned_end)
        if self._phase is None:
            return
        self.on_progress(self._progress())  # with the results of its last requests
        if waited_s is not None:
            self.session.record_not_drained(waited_s, self._phase.name)

    # --- the three patterns -------------------------------------------------------------------------

    def _play_blocks(self, episode_range: EpisodeRange) -> None:
        if self.scenario.isolates(episode_range.phase):
            self._play_isolated_blocks(episode_range)
            return
        phase, t0 = episode_range.phase, time.monotonic_ns()
        origin = t0
        for i in range(episode_range.count):
            n = self._begin_episode(episode_range, i)
            if i == 0 and not phase.settles_s:
                self._wait(t0 / 1e9 + phase.lead_s)
                origin = self._inject_held(phase) or t0
            if phase.fault:
                self.session.nemesis.check_held_fault(phase.fault, phase.name, n, phase.arms)
            t1 = origin + round((i + 1) * phase.episode_s * 1e9)
            self._wait(t1 / 1e9)
            self.session.record_episode(phase.name, n, t0, t1, None)
            t0 = t1

    def _play_isolated_blocks(self, episode_range: EpisodeRange) -> None:
        """Play each block once for each arm, with the gates of the others closed: forth in one round, back in the next.

        A drift during the phase then affects all arms alike (ABBA order).
        """
        phase, arms = episode_range.phase, tuple(self.session.nemesis.proxies)
        for i in range(episode_range.count):
            self._pause()
            n = self._begin_episode(episode_range, i)
            if phase.fault:
                self.session.nemesis.check_held_fault(phase.fault, phase.name, n, phase.arms)
                self.session.nemesis.join()  # no traffic but that of the arm under test
            for arm in arms if n % 2 == 0 else reversed(arms):
                self._pause()
                self.session.load.open(
                    (arm,), arrival_seed_index=FIRST_ISOLATED_SEED_INDEX + n
                )  # what arrives is the same in every arm
                self._wait(time.monotonic() + LEAD_IN_S)
                t0 = time.monotonic_ns()
                self._wait(time.monotonic() + phase.episode_s)
                self.session.record_episode(phase.name, n, t0, t0 + round(phase.episode_s * 1e9), None, arm)

    def _play_strikes(self, episode_range: EpisodeRange) -> None:
        phase, begin, begin_ns = episode_range.phase, time.monotonic(), time.monotonic_ns()
        assert phase.fault is not None
        for i in range(episode_range.count):
            n = self._begin_episode(episode_range, i)
            t0 = begin_ns + round(i * phase.episode_s * 1e9)
            t1 = begin_ns + round((i + 1) * phase.episode_s * 1e9)
            self._wait(begin + (i + 0.5) * phase.episode_s)
            over = begin + (i + 1) * phase.episode_s
            strike = self.session.nemesis.strike(phase.fault, phase.name, n, over, phase.arms)
            if strike >= t1:
                self._record_late_strike(phase, n)
            self._wait(begin + (i + 1) * phase.episode_s)
            self.session.record_episode(phase.name, n, t0, t1, strike)

    def _begin_episode(self, episode_range: EpisodeRange, i: int) -> int:
        """The number of the i-th episode of a range: numbers continue from earlier ranges of the phase."""
        self._episode = episode_range.first + i + 1
        return episode_range.first + i

    def _record_late_strike(self, phase: Phase, n: int) -> None:
        """Record a doubt: a strike after the end of its episode breaks requests of another one."""
        text = f"strike {n + 1} of {phase.name} came after the end of its episode"
        self.session.log.write(records.RecordedDoubt.of(Code.STRIKE_LATE, text, phase=phase.name))

    def _play_bursts(self, episode_range: EpisodeRange) -> None:
        phase = episode_range.phase
        assert phase.quiet_s is not None
        assert phase.burst_s is not None
        self._inject_held(phase)
        for i in range(episode_range.count):
            n = self._begin_episode(episode_range, i)
            t0, begin = time.monotonic_ns(), time.monotonic()
            strike = self._play_quiet_part(phase, n, begin + phase.quiet_s)
            self.session.load.open()
            back = time.monotonic_ns()
            self._wait(begin + phase.quiet_s + phase.burst_s)
            if i + 1 < episode_range.count:
                self._pause_between_bursts(phase)
            self.session.record_episode(
                phase.name, n, t0, time.monotonic_ns(), back if strike is None and phase.fault else strike
            )

    def _pause_between_bursts(self, phase: Phase) -> None:
        """Pause users between two bursts. Where requests hang until the fault is healed, do not wait for them."""
        if phase.fault and not phase.fault.momentary and phase.fault.contract.mid_transfer.seen == "silence":
            self.session.load.close()
        else:
            self._pause()

    def _play_quiet_part(self, phase: Phase, n: int, until: float) -> int | None:
        """The quiet part before a burst. Returns the time of the strike, for a momentary fault."""
        strike = None
        if phase.fault and phase.fault.momentary:
            assert phase.quiet_s is not None
            self._wait(until - (1 - STRIKE_AT_SHARE_OF_QUIET) * phase.quiet_s)
            over = until + (phase.burst_s or 0.0)
            strike = self.session.nemesis.strike(phase.fault, phase.name, n, over, phase.arms)
        elif phase.fault:
            self.session.nemesis.check_held_fault(phase.fault, phase.name, n, phase.arms)
        self._wait(until)
        return strike

    # --- waiting ------------------------------------------------------------------------------------

    def _wait_a_moment(self) -> None:
        self._wait(time.monotonic() + PROGRESS_EVERY_S)

    def _wait(self, until: float) -> None:
        """Sleep until then; meanwhile show the progress, and check the load and every server."""
        left = 1.0
        while left > 0:
            begun = time.monotonic()
            self.session.load.check()
            self.session.check_alive(self._phase.name if self._phase else None)
            self.on_progress(self._progress())
            self._wait_limit.raise_if_hung(begun - self._planned_end)
            left = until - time.monotonic()
            nap_s = max(0.0, min(left, PROGRESS_EVERY_S))
            time.sleep(nap_s)
            self._wait_limit.record_if_late(begun, nap_s)

    def _progress(self) -> Progress:
        phase = self._phase
        return Progress(
            message="" if self._episode else "settling",
            phase=phase.name if phase else "",
            fault=str(phase.fault) if phase and phase.fault else "",
            episode=self._episode,
            episodes=self._episodes,
            elapsed_s=time.monotonic() - self.started,
            total_s=self.total_s,
            arms=self._arm_progress(),
        )

    def _arm_progress(self) -> tuple[ArmProgress, ...]:
        now, counts = time.monotonic(), self.session.load.progress
        self._failed_counts.append((now, {arm: count.failed for arm, count in counts.items()}))
        while self._failed_counts[0][0] < now - RECENT_S:
            self._failed_counts.popleft()
        before = self._failed_counts[0][1]
        return tuple(
            ArmProgress(arm, count.started, count.ended, count.failed, count.failed - before.get(arm, 0))
            for arm, count in counts.items()
        )


_PLAYERS: dict[Pattern, Callable[[TimelinePlayer, EpisodeRange], None]] = {
    Pattern.BLOCKS: TimelinePlayer._play_blocks,
    Pattern.STRIKES: TimelinePlayer._play_strikes,
    Pattern.BURSTS: TimelinePlayer._play_bursts,
}
