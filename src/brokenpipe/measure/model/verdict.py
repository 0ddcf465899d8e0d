"""Data model of the assessment: checks, differences between arms, the recommended arm."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.intervals import ERROR

COMPARABLE_FAILED_SHARE = 0.01
"""Shares of failed requests that differ by no more leave latencies comparable. Latencies are of the requests that
succeeded: without one in a hundred of them, a median is at most half a percentile away."""


class Verdict(StrEnum):
    """Verdict of a check or a run. `unknown` is the honest answer to a missing or doubtful measurement."""

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
    baseline: BaselineComparison | None = None  # None: an expectation of the scenario


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """The two values of a check against a baseline. `p` is adjusted for all such checks of the run."""

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
    metric: str  # a Metric: "added_failure_rate", "added_broken_pipe_rate" or "added_p50_ms"
    episodes: int  # with a value of both arms
    difference: float | None
    ci95: Interval | None
    p: float | None
    smallest_seen: float | None  # seen in 80 of 100 runs like this; None: too few episodes to see any
    episodes_needed: int  # the fewest in which any difference can be significant

    @property
    def differs(self) -> bool:
        """Whether chance alone would show as much in less than 5 of 100 runs."""
        return self.p is not None and self.p <= ERROR

    @property
    def is_less(self) -> bool:
        """Whether it is less than the control's, and not by chance."""
        return self.differs and (self.difference or 0.0) < 0

    @property
    def is_more(self) -> bool:
        """Whether it is more than the control's, and not by chance."""
        return self.differs and (self.difference or 0.0) > 0


@dataclass(frozen=True, slots=True)
class ArmCost:
    """What an arm adds to the control's median request where nothing is broken, paired by episode.

    Latencies are of requests that succeeded. Where different shares of requests failed, what is added is no price.
    """

    phase: str
    added_ms: float | None
    ci95: Interval | None  # in milliseconds
    matters_ms: float = 5.0  # what adds less is too small to matter
    failed_share: float = 0.0  # in that phase
    control_failed_share: float = 0.0
    incomparable: bool = (
        False  # the two shares differ by more than COMPARABLE_FAILED_SHARE, or by more than chance
    )

    @property
    def price_ms(self) -> float | None:
        """What is added, if it is a price; None: not known."""
        return None if self.incomparable else self.added_ms


class RankedBy(StrEnum):
    """Which failed requests of an arm decide its rank."""

    PREVENTABLE = "preventable"  # all but deaths in use, which no setting of a pool prevents
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """Totals of an arm's requests over all phases with a fault."""

    requests: int
    failed: int
    broken: int | None  # None: the causes of some are not known
    ranked: int  # of the failed, those that the rank goes by

    @property
    def failed_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    @property
    def ranked_share(self) -> float:
        return self.ranked / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The arm that did best, and what it prevents of the control's failures.

    It is the control itself if no arm did better, and recommended only if that is more than chance and not in doubt.
    """

    arm: str
    control: str
    control_totals: ArmTotals
    arm_totals: ArmTotals
    prevented_share: float  # of the control's failed share
    ci95: Interval | None  # of that; None: one episode, or none that failed
    better_in: tuple[str, ...]  # phases in which it was better by more than chance
    cost: ArmCost | None
    ranked_by: RankedBy = RankedBy.FAILED
    causes_known: bool = True  # which of the control's failures a setting can prevent, of most of them
    tied: tuple[str, ...] = ()  # arms that do not differ from it beyond chance, and are not cheaper
    tied_costs: tuple[float, ...] = ()  # what each of them adds to the median; empty: not known of all
    in_doubt: bool = False

    @property
    def beyond_chance(self) -> bool:
        """Whether chance alone would hardly show as much."""
        return bool(self.better_in)

    @property
    def is_recommended(self) -> bool:
        """Whether a reader may act on it."""
        return self.beyond_chance and not self.in_doubt and self.arm != self.control
