"""What the watch writes down: which parts of a run it looks at, and when one of them stood still or gave no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from brokenpipe.history.records.base import Int32, Record, TimeNs

SilenceKind = Literal["stopped", "ended", "no_answer", "late", "no_files"]
"""How a silence was seen. stopped: the kernel says that the process stands still. ended: it is no more. no_answer: a
new connection was not answered in time. late: a loop of the harness itself woke late. no_files: the process had no file
descriptor left, and so none for another connection."""


@dataclass(frozen=True, slots=True)
class WatchedPart(Record):
    """A part that the watch looks at from now on. `part` as in ProcessGauge, and `janitor`."""

    KIND: ClassVar[str] = "watched"
    TABLE: ClassVar[str] = "watched"
    FILES: ClassVar[str] = "watch*.ndjson"
    t: TimeNs
    part: str
    arm: str | None


@dataclass(frozen=True, slots=True)
class WatchTick(Record):
    """The watch looks: once a second. Where this is missing, nothing was watched."""

    KIND: ClassVar[str] = "look"
    TABLE: ClassVar[str] = "looks"
    FILES: ClassVar[str] = "watch*.ndjson"
    t: TimeNs


@dataclass(frozen=True, slots=True)
class SilenceEdge(Record):
    """One edge of a silence. Without an `end` it lasted for as long as the part was watched.

    `pid`: of the process that stood still; None for what is asked by a connection.
    """

    KIND: ClassVar[str] = "silence"
    TABLE: ClassVar[str] = "silences"
    FILES: ClassVar[str] = "watch*.ndjson"
    t: TimeNs
    edge: Literal["begin", "end"]
    part: str
    arm: str | None
    pid: Int32 | None
    how: SilenceKind
