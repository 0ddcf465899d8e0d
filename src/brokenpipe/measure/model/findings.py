"""Findings of a run: the one value from which the report and `summary.json` are made.

Everything that a reader is shown is in it. Times called `_s` are seconds since the experiment's first
record, latencies are milliseconds of successful requests, rates are shares 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brokenpipe.history.records import SelfTest
from brokenpipe.measure.failures.error_classes import ChainedException
from brokenpipe.measure.failures.witness_coverage import SeenLibraries, WitnessCoverage
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.attribution import AttributionCounts
from brokenpipe.measure.model.episode_stats import EpisodeStats
from brokenpipe.measure.model.nested_checkouts import NestedCheckouts
from brokenpipe.measure.model.pool_settings import PoolSettings
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.measure.model.series import Timelines
from brokenpipe.measure.model.session_growth import SessionGrowth
from brokenpipe.measure.model.validity import ArrivalCounts, Health, ValidityWarning
from brokenpipe.measure.model.verdict import ArmCost, Check, Comparison, Recommendation, Verdict
from brokenpipe.measure.model.write_counts import WriteAudit


@dataclass(frozen=True, slots=True)
class PhaseFinding:
    """A phase of the timeline. `fault` is empty for a phase without one; `strikes_s` are its acts."""

    name: str
    fault: str  # e.g. "socket_kill reset", "latency 25 ms downstream"
    start_s: float
    end_s: float
    strikes_s: tuple[float, ...]
    burst_s: tuple[tuple[float, float], ...]  # when users acted, if they paused in between
    stretches_s: tuple[tuple[float, float], ...] = ()  # when it was played, if more than once
    # By arm, connections that the harness ended before it, for others to be opened. None: how many is not known.
    renewed: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def played_s(self) -> tuple[tuple[float, float], ...]:
        """Begin and end of each stretch."""
        return self.stretches_s or ((self.start_s, self.end_s),)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed requests with the same cause, with one real example."""

    error_class: str  # value of an ErrorClass
    state: str  # of its connection: "stale", "in use", "after rest", "connecting" or "" (none to look at)
    disconnect: bool  # says nothing unless the cause is known
    count_by_arm: Mapping[str, int]
    count_by_phase: Mapping[str, int]
    example_arm: str
    example_request: str  # its name, e.g. "POST /chat"
    example_id: str
    example_at_s: float
    chain: tuple[ChainedException, ...]  # outermost first
    attribution: AttributionCounts | None = None
    cause_known: bool = True  # False: the witness has no record of why these failed
    rest_s: tuple[float, float] | None = None  # of those after a rest, from and to; None: not recorded


@dataclass(frozen=True, slots=True)
class SwallowedErrors:
    """Requests answered as successes although the database had failed them, with one real example."""

    error_class: str
    where: str  # "connect", "checkout", "statement" or "commit"
    count_by_place: Mapping[ArmPhase, int]
    example_arm: str
    example_request: str
    example_id: str
    example_status: int
    chain: tuple[ChainedException, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """One experiment, measured."""

    stem: str  # of the scenario file
    title: str
    question: str
    target: str
    started: str  # ISO 8601, UTC
    duration_s: float
    finished: str  # "done", "interrupted", "terminated", "failed", "stopped", "hung", "cut off"
    verdict: Verdict
    sentence: str  # for readers of nothing else
    users_per_arm: int
    seed: int
    control: str
    arms: Mapping[str, Mapping[str, str]]  # arm → the environment that makes it differ
    shared_env: Mapping[str, str]
    phases: tuple[PhaseFinding, ...]
    cells: Mapping[ArmPhase, ArmPhaseStats]
    checks: tuple[Check, ...]
    warnings: tuple[ValidityWarning, ...]
    failures: tuple[FailureGroup, ...]
    timelines: Timelines
    health: Health
    contract_results: tuple[SelfTest, ...]
    best: Recommendation | None
    costs: Mapping[str, ArmCost]  # by arm, without the control; empty without a phase that has no fault
    environment: Mapping[str, str]  # versions, machine: label → value
    command: str  # to repeat it
    notes: tuple[str, ...] = ()
    isolated: tuple[str, ...] = ()  # phases in which the arms took turns
    arrivals_per_s: float | None = None  # of each arm; None: users wait for answers before they ask again
    arrivals: Mapping[ArmPhase, ArrivalCounts] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    traits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of each arm, in what it differs from another besides variables: target, Python, packages, PgBouncer."""
    pool_modes: Mapping[str, str] = field(
        default_factory=dict
    )  # arm → that of the PgBouncer before its database
    swallowed: tuple[SwallowedErrors, ...] = ()
    ledger: Mapping[str, WriteAudit] = field(default_factory=dict)  # by arm; empty if the target has none
    episode_stats: Mapping[ArmPhase, EpisodeStats] = field(default_factory=dict)  # episode by episode
    machine: str = ""  # what latencies depend on
    pools: Mapping[ArmPhase, PoolUsage] = field(default_factory=dict)  # where a witness saw it
    targets: Mapping[str, str] = field(default_factory=dict)  # by arm, where it has another than `target`
    sessions: Mapping[ArmPhase, SessionGrowth] = field(default_factory=dict)  # of phases without a fault
    times: Mapping[ArmPhase, TimeBreakdown] = field(default_factory=dict)  # where a witness saw all of it
    nested: Mapping[ArmPhase, tuple[NestedCheckouts, ...]] = field(
        default_factory=dict
    )  # where there are any
    # Of each arm's Postgres, as the scenario says. None: more than any arm asks for.
    max_connections: int | None = None
    witness_coverage: Mapping[str, WitnessCoverage] = field(
        default_factory=dict
    )  # by arm, what the witness saw
    seen_libraries: Mapping[str, SeenLibraries] = field(default_factory=dict)  # by arm
    pool_settings: Mapping[str, tuple[PoolSettings, ...]] = field(default_factory=dict)  # by arm, where seen
    baseline: str | None = None  # what it was held against, and when that was recorded

    def cell(self, arm: str, phase: str) -> ArmPhaseStats:
        """What one arm did in one phase."""
        return self.cells[arm, phase]
