"""The instrument itself: how busy it was, how late, and what there is to doubt.

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
    """The instrument: how busy, how late."""

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
    """Of an open load: requests that were due, those that began more than 50 ms late, those that never began."""

    due: int
    late: int
    missed: int
    worst_ms: float | None  # the latest beginning; None: all began within a millisecond


@dataclass(frozen=True, slots=True)
class ContractResult:
    """One line of the certificate: what a raw socket saw before the experiment."""

    fault: str
    situation: str
    expected: str
    seen: str
    after_ms: float | None
    held: bool


@dataclass(frozen=True, slots=True)
class ValidityWarning:
    """A doubt about the instrument. `unknown`: no check that rests on it may pass."""

    code: str
    text: str
    remedy: str
    unknown: bool
    phase: str | None = None
    arm: str | None = None
    stands: Affected | None = None
    """What is proven beside this one; None: what the list says of all of its kind."""

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
        """A doubt of the closed list. Of the whole run, or of a phase, an arm, or both."""
        return cls(code.value, text, DOUBTS[code].remedy, DOUBTS[code].unknown, phase, arm, stands)
