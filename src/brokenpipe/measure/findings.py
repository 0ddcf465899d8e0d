"""What was found: the one value that the report renders and `summary.json` is cut from.

Everything a reader is shown stands here. Times called `_s` are seconds since the experiment's first
record, latencies are milliseconds of successful requests, rates are shares 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from brokenpipe.history.doubts import DOUBTS, Code
from brokenpipe.history.worker_clocks import WorkerClock
from brokenpipe.measure.books import Books, Written
from brokenpipe.measure.classify import Link
from brokenpipe.measure.figures import Figures
from brokenpipe.measure.owed import Owed
from brokenpipe.measure.pool_use import PoolUse
from brokenpipe.measure.price import Masked, Price


class Verdict(StrEnum):
    """Of a check and of a run. `unknown` is the honest answer to a missing or doubtful measurement."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval; the low end may be closed at 0 and the high end be an exact bound.

    Of a run that added episodes until its expectations were decided, it holds 95 % over all its looks together.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of successful requests, in milliseconds. None where nothing succeeded."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm in one phase: what stands in one place of the table.

    broken = stale + in_use + elsewhere. `elsewhere`: disconnects without a connection to look at, for example
    in a target whose pool the witness cannot see. `unexplained`: failed without any testimony. `swallowed`:
    answered as successes although the database had failed them and nothing made up for it.
    """

    arm: str
    phase: str
    requests: int
    failed: int
    broken: int
    stale: int
    in_use: int
    elsewhere: int
    unexplained: int
    broken_pipe_rate: float | None  # None: no request was started, or some failed without a witness
    ci95: Interval | None
    episodes: int
    latency_ms: Latency
    latency_by_request: Mapping[str, Latency]
    failed_by_class: Mapping[str, int]
    recovery_s: tuple[float, ...]  # one for each episode: strike to the end of the last broken request, or 0
    masked: Masked | None  # None: no witness
    price: Price | None
    swallowed: int | None = None  # None: no witness
    written: Written | None = None  # None: no ledger, or nothing that it could be compared with
    owed: Owed | None = None  # None: nothing failed
    # Connections at most, at Postgres and of the service (with ours) to the proxy. None: not known.
    server_connections: int | None = None
    client_connections: int | None = None


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

    @property
    def played_s(self) -> tuple[tuple[float, float], ...]:
        """Begin and end of each stretch."""
        return self.stretches_s or ((self.start_s, self.end_s),)


@dataclass(frozen=True, slots=True)
class Against:
    """Of a check against a baseline: what was held against what. `p` is adjusted for all such checks of the run."""

    base: float | None
    new: float | None
    tolerated: float  # the largest rise that may be
    matters: float  # the smallest rise that must not be missed
    p: float | None  # how often chance alone shows such a rise


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
class Comparison:
    """An arm against the control in one phase, paired by episode. Rates are shares, latencies milliseconds.

    `p` is adjusted for the other arms of the phase (Holm), and for the looks of a run that had several.
    """

    arm: str
    phase: str
    metric: str  # "added_broken_pipe_rate" or "added_p50_ms"
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


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Of an open load: requests that were due, those that began more than 50 ms late, those that never began."""

    due: int
    late: int
    missed: int
    worst_ms: float | None  # the latest beginning; None: all began within a millisecond


@dataclass(frozen=True, slots=True)
class Warn:
    """A doubt about the instrument. `unknown`: no check that rests on it may pass."""

    code: str
    text: str
    remedy: str
    unknown: bool
    phase: str | None = None
    arm: str | None = None

    @classmethod
    def of(cls, code: Code, text: str, *, phase: str | None = None, arm: str | None = None) -> Self:
        """A doubt of the closed list. Of the whole run, or of a phase, an arm, or both."""
        return cls(code.value, text, DOUBTS[code].remedy, DOUBTS[code].unknown, phase, arm)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed requests with the same cause, with one real example."""

    error_class: str  # from measure.classify
    state: str  # of its connection: "stale", "in use", "connecting" or "" (nothing to do with one)
    disconnect: bool
    count_by_arm: Mapping[str, int]
    count_by_phase: Mapping[str, int]
    example_arm: str
    example_request: str  # its name, e.g. "POST /chat"
    example_id: str
    example_at_s: float
    chain: tuple[Link, ...]  # outermost first
    owed: Owed | None = None


@dataclass(frozen=True, slots=True)
class Swallowed:
    """Requests answered as successes although the database had failed them, with one real example."""

    error_class: str
    where: str  # "connect", "checkout", "statement" or "commit"
    count_by_place: Mapping[tuple[str, str], int]  # (arm, phase)
    example_arm: str
    example_request: str
    example_id: str
    example_status: int
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time on the shared axis, for one arm; None where there is nothing to say."""

    at_s: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Timelines:
    """One series for each arm in each chart."""

    failed_share: Mapping[str, Series]  # of requests that started in the bin
    p95_ms: Mapping[str, Series]
    requests_per_s: Mapping[str, Series]
    pool_out: Mapping[str, Series]  # connections checked out; empty without a witness
    pool_idle: Mapping[str, Series]
    postgres_connections: Mapping[str, Series]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy one process (with its children) was: shares of one core, resident bytes."""

    role: str
    arm: str | None
    mean_cores: float
    peak_cores: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Memory:
    """One process, with its children, over time: resident bytes.

    `private`: without what they share. `early_bytes` at `early_s`, five minutes after the begin,
    and `grew`: whether it went on growing from then to the end. None for a run that is too short to tell.
    """

    role: str
    arm: str | None
    private: bool
    series: Series
    early_s: float | None
    early_bytes: int | None
    end_bytes: int
    peak_bytes: int
    grew: bool | None


@dataclass(frozen=True, slots=True)
class Health:
    """The instrument: how busy, how late."""

    processes: tuple[Load, ...]
    cores: int
    machine_busy: float | None  # mean share of all cores 0..1
    machine_busy_peak: float | None
    machine_stolen: float | None
    worst_lag_ms: float | None  # of the load's event loop
    median_landing_ms: float | None  # from strike to what a raw socket saw
    landings: int
    landed: int
    memory: tuple[Memory, ...] = ()  # ours first
    requests: int = 0  # recorded, those between phases and of lead-ins included
    history_bytes: int = 0
    workers: tuple[WorkerClock, ...] = ()  # of the load; none: one process had all users


@dataclass(frozen=True, slots=True)
class ContractProbe:
    """One line of the certificate: what a raw socket saw before the experiment."""

    fault: str
    situation: str
    expected: str
    seen: str
    after_ms: float | None
    held: bool


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
    cost: Cost | None
    engine_settings: str  # Python source, ready to copy


@dataclass(frozen=True, slots=True)
class Findings:
    """One experiment, measured."""

    stem: str  # of the scenario file
    title: str
    question: str
    target: str
    started: str  # ISO 8601, UTC
    duration_s: float
    finished: str  # "done", "interrupted", "terminated", "failed", "cut off"
    verdict: Verdict
    sentence: str  # what a manager understands
    users_per_arm: int
    seed: int
    control: str
    arms: Mapping[str, Mapping[str, str]]  # arm → the environment that makes it differ
    shared_env: Mapping[str, str]
    phases: tuple[PhaseFinding, ...]
    cells: Mapping[tuple[str, str], Cell]  # (arm, phase)
    checks: tuple[Check, ...]
    warnings: tuple[Warn, ...]
    failures: tuple[FailureGroup, ...]
    timelines: Timelines
    health: Health
    contract: tuple[ContractProbe, ...]
    best: Best | None
    costs: Mapping[str, Cost]  # by arm, without the control; empty without a phase that has no fault
    environment: Mapping[str, str]  # versions, machine: label → value
    command: str  # to repeat it
    notes: tuple[str, ...] = field(default=())
    isolated: tuple[str, ...] = ()  # phases in which the arms took turns
    arrivals_per_s: float | None = None  # of each arm; None: users wait for answers before they ask again
    arrivals: Mapping[tuple[str, str], Arrivals] = field(default_factory=dict)  # (arm, phase)
    comparisons: tuple[Comparison, ...] = field(default=())
    pool_mode: str | None = None  # of the PgBouncer before Postgres; None: there was none
    swallowed: tuple[Swallowed, ...] = ()
    ledger: Mapping[str, Books] = field(default_factory=dict)  # by arm; empty if the target has none
    figures: Mapping[tuple[str, str], Figures] = field(
        default_factory=dict
    )  # (arm, phase), episode by episode
    machine: str = ""  # what latencies depend on
    pools: Mapping[tuple[str, str], PoolUse] = field(
        default_factory=dict
    )  # (arm, phase); where a witness saw it
    max_connections: int | None = (
        None  # of each arm's Postgres, as the scenario says; None: more than any arm asks for
    )
    baseline: str | None = None  # what it was held against, and when that was recorded

    def cell(self, arm: str, phase: str) -> Cell:
        """What one arm did in one phase."""
        return self.cells[arm, phase]
