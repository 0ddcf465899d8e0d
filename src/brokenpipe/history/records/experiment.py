"""experiment.ndjson: what the harness records of a run: its phases and episodes, doubts, self-tests, its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from brokenpipe.history.records.base import Int32, Record, TimeNs
from brokenpipe.history.validity_codes import DOUBTS, Code

RunEnding = Literal["done", "interrupted", "terminated", "failed", "stopped", "hung"]
"""How an experiment ended."""


@dataclass(frozen=True, slots=True)
class PhaseEdge(Record):
    """One edge of a phase: what lies between `begin` and `end` counts."""

    KIND: ClassVar[str] = "phase"
    TABLE: ClassVar[str] = "phase_edges"
    FILES: ClassVar[str] = "experiment*.ndjson"
    t: TimeNs
    name: str
    edge: Literal["begin", "end"]


@dataclass(frozen=True, slots=True)
class Episode(Record):
    """The unit of statistics, written when it is over. Requests belong to it by their start.

    `strike` is when the fault struck, or when users came back to what it had left; None in a block of
    a phase without strikes. `counts` is False for a lead-in. `arm`: the only one that was asked; None: all.
    """

    KIND: ClassVar[str] = "episode"
    TABLE: ClassVar[str] = "episodes"
    FILES: ClassVar[str] = "experiment*.ndjson"
    phase: str
    n: Int32
    t0: TimeNs
    t1: TimeNs
    strike: TimeNs | None
    counts: bool
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedDoubt(Record):
    """A reason to mistrust what was measured. `unknown`: no check that rests on it may pass."""

    KIND: ClassVar[str] = "doubt"
    TABLE: ClassVar[str] = "doubts"
    FILES: ClassVar[str] = "experiment*.ndjson"
    t: TimeNs
    code: str
    text: str
    remedy: str
    unknown: bool
    phase: str | None = None
    arm: str | None = None

    @classmethod
    def of(cls, code: Code, text: str, *, phase: str | None = None, arm: str | None = None) -> Self:
        """A doubt of the closed list, raised now. Of the whole run, or of a phase, an arm, or both."""
        kind = DOUBTS[code]
        return cls(time.monotonic_ns(), code.value, text, kind.remedy, kind.unknown, phase, arm)


@dataclass(frozen=True, slots=True)
class SelfTest(Record):
    """One situation of one fault's contract, tried on raw sockets before the experiment.

    `parameters` are those that were tried, with shorter times than the plan's.
    """

    KIND: ClassVar[str] = "probe"
    TABLE: ClassVar[str] = "probes"
    FILES: ClassVar[str] = "experiment*.ndjson"
    t: TimeNs
    fault: str
    situation: str
    expected: str
    seen: str
    after_ms: float | None
    held: bool
    parameters: Mapping[str, object] | None = None

    @property
    def fault_text(self) -> str:
        from brokenpipe.faults.recorded import describe_fault  # all faults: who writes records does without

        return describe_fault(self.fault, self.parameters)

    def __str__(self) -> str:
        outcome = "held" if self.held else f"did not hold: expected {self.expected}"
        return f"{self.fault_text}, {self.situation}: {outcome}; seen {self.seen} at {self.after_ms:.1f} ms"


@dataclass(frozen=True, slots=True)
class ClockOffset(Record):
    """A worker's clock, measured: to its times `offset_ns` is to be added, give or take `error_ns`."""

    KIND: ClassVar[str] = "sync"
    TABLE: ClassVar[str] = "syncs"
    FILES: ClassVar[str] = "experiment*.ndjson"
    t: TimeNs
    worker: str
    offset_ns: int
    error_ns: int


@dataclass(frozen=True, slots=True)
class Resumed(Record):
    """The first line of a later part: what was cut off goes on, with a new stack. `part` counts from 1."""

    KIND: ClassVar[str] = "resumed"
    TABLE: ClassVar[str] = "resumptions"
    FILES: ClassVar[str] = "experiment*.ndjson"
    t: TimeNs
    part: Int32
    command: str


@dataclass(frozen=True, slots=True)
class Finish(Record):
    """The last line: how the experiment ended. Without it, it was cut off.

    `stopped`: by itself, after a phase without a fault in which an arm failed nearly every request. `hung`: because
    the plan's time was over and a part without which no arm goes on stood still. `files`: all other files of the
    history, with their sizes; None: an older history, which has no such list. `checksums`: SHA-256
    of these, of the plan, and of what stands before this line.
    """

    KIND: ClassVar[str] = "finish"
    TABLE: ClassVar[str] = "finishes"
    FILES: ClassVar[str] = "experiment*.ndjson"
    t: TimeNs
    how: RunEnding
    files: Mapping[str, int] | None = None
    checksums: Mapping[str, str] | None = None
