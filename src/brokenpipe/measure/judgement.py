"""What the figures were judged to say: checks, differences between arms, the arm to recommend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from brokenpipe.measure.interval import Interval
from brokenpipe.plan.expectations import Metric


class Verdict(StrEnum):
    """Of a check and of a run. `unknown` is the honest answer to a missing or doubtful measurement."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation, decided. `bound` reads like the scenario: "above 0", "equals 0".

    Against a baseline `value` is the rise since then: of a rate a difference of shares, of a latency a share of it.
    """

    arm: str
    phase: str
    metric: str
    bound: str
    value: float | None
    ci95: Interval | None
    verdict: Verdict
    text: str  # one sentence with the figures
    open: bool = False  # unknown only because the interval reaches across the bound
    more_episodes: int | None = None  # about how many more would settle it; None: they would not, or need not
    against: Against | None = None  # None: an expectation of the scenario


@dataclass(frozen=True, slots=True)
class Against:
    """Of a check against a baseline: what was held against what. `p` is adjusted for all such checks of the run."""

    base: float | None
    new: float | None
    tolerated: float  # the largest rise that may be
    matters: float  # the smallest rise that must not be missed
    p: float | None  # how often chance alone shows such a rise


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm against the control in one phase, paired by episode. Rates are shares, latencies milliseconds.

    `p` is adjusted for the other arms of the phase (Holm), and for the looks of a run that had several.
    """

    arm: str
    phase: str
    metric: str  # a Metric, "added_broken_pipe_rate" or "added_p50_ms"
    episodes: int  # in which both arms said something
    difference: float | None
    ci95: Interval | None
    p: float | None
    smallest_seen: float | None  # seen in 80 of 100 runs like this; None: too few episodes to see any
    episodes_needed: int  # the fewest in which any difference can be significant

    @property
    def differs(self) -> bool:
        """Whether chance alone would show as much in less than 5 of 100 runs."""
        return self.p is not None and self.p <= 0.05

    @property
    def broke_less(self) -> bool:
        """Whether it broke less than the control, and not by chance."""
        return self._rates_differ and (self.difference or 0.0) < 0

    @property
    def broke_more(self) -> bool:
        """Whether it broke more than the control, and not by chance."""
        return self._rates_differ and (self.difference or 0.0) > 0

    @property
    def _rates_differ(self) -> bool:
        return self.metric == Metric.ADDED_BROKEN_PIPE_RATE and self.differs


@dataclass(frozen=True, slots=True)
class Cost:
    """What an arm adds to the control's median request where nothing is broken, paired by episode."""

    phase: str
    added_ms: float | None
    ci95: Interval | None  # in milliseconds


@dataclass(frozen=True, slots=True)
class Best:
    """The arm to recommend, and what it prevents of the control's failures."""

    arm: str
    control: str
    control_broken: int
    broken: int
    prevented_share: float | None  # None when nothing broke in the control
    beyond_chance: bool  # it broke less in some phase than chance alone would show
    cost: Cost | None
    engine_settings: str  # Python source, ready to copy
