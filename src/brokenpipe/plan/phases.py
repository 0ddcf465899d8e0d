"""A phase: a named interval with one load pattern and at most one fault.

Three patterns, told apart by their keys:

    blocks    seconds                      ▇▇▇▇▇▇▇▇▇▇▇▇   cut into blocks of 2 s; a block is its episode
    strikes   episodes, every_s            ▇▇↯▇▇▇▇↯▇▇▇▇   the fault strikes in the middle of each episode
    bursts    episodes, quiet_s, burst_s   ▇▇▁▁▁▇▇▁▁▁▇▇   users pause, then act; a lead-in does not count
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from brokenpipe.faults import AnyFault, faults_with
from brokenpipe.plan.errors.messages import NAME
from brokenpipe.plan.toml_model import StrictModel

BLOCK_S = 2.0  # the episode of a phase without strikes
SETTLE_S = 1.2  # uncounted load, until users are out of step and pools have grown
LEAD_S = (
    0.5  # of a phase before a fault that hits requests under way: those began in the phase, and count in it
)
BETWEEN_S = 2.6  # what lies between two phases, the settling included; measured, only for the forecast

TURN_S = 0.8  # before each block of an isolated arm, uncounted; see LEAD_IN_S in drive

Name = Annotated[str, Field(pattern=NAME)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Pattern(StrEnum):
    """How load and fault are laid out in a phase."""

    BLOCKS = "blocks"
    STRIKES = "strikes"
    BURSTS = "bursts"


KEYS_OF_PATTERNS = {
    Pattern.BLOCKS: {"seconds"},
    Pattern.STRIKES: {"episodes", "every_s"},
    Pattern.BURSTS: {"episodes", "quiet_s", "burst_s"},
}


class Phase(StrictModel):
    """One `[[phases]]` of a scenario. Times are in seconds."""

    name: Name
    """What the report calls it."""

    fault: AnyFault | None = None
    """What happens to the wire. Without one, nothing does."""

    arms: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """The arms that it happens to; without this key, all of them."""

    under_load: bool = False
    """The fault comes when pools are full and requests under way. So does every fault that is held: nothing changes."""

    seconds: Annotated[float, Field(ge=BLOCK_S, le=86_400)] | None = None
    """How long it lasts, for a phase without a fault or with one that is held, such as latency: the fault as long."""

    episodes: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many strikes, or how many bursts. Twelve or more give an interval that one can decide on."""

    every_s: Annotated[float, Field(ge=0.2, le=3600)] | None = None
    """Seconds from one strike to the next, for a momentary fault such as socket_kill."""

    quiet_s: Seconds | None = None
    """Seconds in which users pause and connections go idle, before each burst."""

    burst_s: Annotated[float, Field(ge=0.2, le=3600)] | None = None
    """Seconds in which users act."""

    @model_validator(mode="after")
    def _check_pattern(self) -> Self:
        given = {key for keys in KEYS_OF_PATTERNS.values() for key in keys if getattr(self, key) is not None}
        if given not in KEYS_OF_PATTERNS.values():
            raise ValueError(
                f"found {' + '.join(sorted(given)) or 'no timing'}; allowed: seconds, or episodes + every_s, "
                "or episodes + quiet_s + burst_s"
            )
        return self

    @model_validator(mode="after")
    def _check_fault(self) -> Self:
        if self.fault and not self.fault.is_known:
            return self
        if self.pattern is Pattern.STRIKES and not (self.fault and self.fault.momentary):
            raise ValueError(
                "episodes + every_s strike a momentary fault such as socket_kill; "
                "give this phase one, or use seconds, or episodes + quiet_s + burst_s"
            )
        if self.pattern is Pattern.BLOCKS and self.fault and self.fault.momentary:
            raise ValueError(
                f"{self.fault.name} is momentary: say how often with episodes + every_s, "
                "or episodes + quiet_s + burst_s, instead of seconds"
            )
        return self

    @model_validator(mode="after")
    def _check_arms(self) -> Self:
        if self.arms and not self.fault:
            raise ValueError("arms says which arms the fault happens to, and this phase has none")
        if self.arms and self.fault and self.fault.shared:
            raise ValueError(f"{self.fault} happens to what all arms share: leave arms out")
        return self

    @model_validator(mode="after")
    def _check_under_load(self) -> Self:
        if self.fault and not self.fault.is_known:
            return self
        silent = self.fault is not None and self.fault.contract.mid_transfer.seen == "silence"
        if self.under_load and not (silent and self.pattern is Pattern.BLOCKS):
            *most, last = sorted(faults_with(silences=True))
            raise ValueError(
                f"under_load goes with seconds and with {', '.join(most)} or {last}: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_strike_time(self) -> Self:
        least_s = self.fault.min_interval_s if self.fault else 0.0
        for key, given_s in (("every_s", self.every_s), ("quiet_s", self.quiet_s)):
            if self.fault and self.fault.momentary and given_s is not None and given_s < least_s:
                raise ValueError(
                    f"{key} = {given_s:g} is too short: {self.fault} needs {least_s:g} s to be over"
                )
        return self

    @model_validator(mode="after")
    def _check_idle_limit(self) -> Self:
        after_ms = self.fault.silence_ms if self.fault else None
        if self.quiet_s is not None and after_ms is not None and self.quiet_s * 1000 <= after_ms:
            raise ValueError(
                f"quiet_s = {self.quiet_s:g} is not longer than after_ms = {after_ms}: "
                "no connection would be idle long enough to feel it"
            )
        shows_s = self.fault.expected_effect.shows_after_s if self.fault else 0.0
        if self.pattern is Pattern.BLOCKS and shows_s >= BLOCK_S:
            raise ValueError(
                f"a limit of {1000 * shows_s:g} ms cannot be witnessed in a block of {BLOCK_S:g} s; "
                "use episodes + quiet_s + burst_s instead of seconds, or a shorter after_ms"
            )
        return self

    @property
    def pattern(self) -> Pattern:
        """Which of the three patterns its keys say."""
        if self.seconds is not None:
            return Pattern.BLOCKS
        return Pattern.STRIKES if self.every_s is not None else Pattern.BURSTS

    @property
    def can_be_isolated(self) -> bool:
        """Whether arms may take turns in this phase: its fault, if any, leaves idle connections alone."""
        at_rest = self.fault is None or self.fault.contract.idle.seen == "delayed"
        return self.pattern is Pattern.BLOCKS and at_rest

    @property
    def count(self) -> int:
        """How many episodes count."""
        if self.seconds is not None:
            return max(1, int(self.seconds / BLOCK_S))
        return self.episodes or 0

    @property
    def episode_s(self) -> float:
        """How long one episode is."""
        if self.seconds is not None:
            return self.seconds / self.count
        return self.every_s or (self.quiet_s or 0) + (self.burst_s or 0)

    @property
    def lead_s(self) -> float:
        """Counted seconds before a held fault that hits requests under way."""
        hits = self.fault is not None and self.fault.contract.mid_transfer.seen not in {"alive", "delayed"}
        return LEAD_S if hits and self.pattern is Pattern.BLOCKS else 0.0

    @property
    def settles_s(self) -> float:
        """Uncounted seconds with the fault: for a latency, until pools have grown."""
        slows = self.fault is not None and self.fault.contract.idle.seen == "delayed"
        return SETTLE_S if slows and self.pattern is Pattern.BLOCKS else 0.0

    @property
    def forecast_s(self) -> float:
        """How long the phase will take, with what precedes it."""
        lead_in = (self.burst_s or 0) - SETTLE_S if self.pattern is Pattern.BURSTS else 0
        return BETWEEN_S + lead_in + self.lead_s + self.settles_s + self.count * self.episode_s

    def describe(self) -> str:
        """The pattern in words."""
        if self.pattern is Pattern.BLOCKS:
            lead = f", and {self.lead_s:g} s before its fault" if self.lead_s else ""
            settles = f", after {self.settles_s:g} s of its fault that do not count" if self.settles_s else ""
            return f"{self.seconds:g} s{lead}{settles}"
        if self.pattern is Pattern.STRIKES:
            return f"{self.episodes} strikes, one every {self.every_s:g} s"
        return f"{self.episodes} × ({self.quiet_s:g} s quiet, {self.burst_s:g} s burst)"
