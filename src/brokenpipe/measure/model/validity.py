"""Data model of validity: load and delays of the test equipment, and reasons not to trust a run.

Times called `_s` are seconds since the experiment's first record, shares are 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from brokenpipe.history.validity_codes import DOUBTS, Code
from brokenpipe.history.validity_codes.kind import Affected
from brokenpipe.history.worker_clocks import WorkerClock
from brokenpipe.measure.model.series import Series


@dataclass(frozen=True, slots=True)
class Health:
    """Load and delays of the harness and its machine."""

    processes: tuple[ProcessLoad, ...]
    cores: int
    machine_busy: float | None  # mean share of all cores 0..1
    machine_busy_peak: float | None
    machine_stolen: float | None
    worst_lag_ms: float | None  # of the load's event loop
    median_landing_ms: float | None  # from strike to what a raw socket saw
    landings: int
    landed: int
    memory: tuple[ProcessMemory, ...] = ()  # ours first
    requests: int = 0  # recorded, those between phases and of lead-ins included
    history_bytes: int = 0
    workers: tuple[WorkerClock, ...] = ()  # of the load; none: one process had all users


@dataclass(frozen=True, slots=True)
class ProcessLoad:
    """How busy one process (with its children) was: shares of one core, resident bytes."""

    role: str
    arm: str | None
    mean_cores: float
    peak_cores: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class ProcessMemory:
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
class ArrivalCounts:
    """Arrivals of an open load: requests that were due, that began more than 50 ms late, that never began."""

    due: int
    late: int
    missed: int
    worst_ms: float | None  # the latest beginning; None: all began within a millisecond


@dataclass(frozen=True, slots=True)
class ValidityWarning:
    """A reason not to trust a run (a doubt). `unknown`: no check that depends on it may pass."""

    code: str
    text: str
    remedy: str
    unknown: bool
    phase: str | None = None
    arm: str | None = None
    stands: Affected | None = None
    """What remains proven in spite of it; None: the default of its code."""

    @classmethod
    def of(
        cls,
        code: Code,
        text: str,
        *,
        phase: str | None = None,
        arm: str | None = None,
        stands: Affected | None = None,
    ) -> Self:
        """Create one of the closed list. It concerns the whole run, a phase, an arm, or both."""
        return cls(code.value, text, DOUBTS[code].remedy, DOUBTS[code].unknown, phase, arm, stands)
