"""nemesis.ndjson: what was done to each arm, and whether a raw socket detected it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from brokenpipe.history.records.base import Int32, Record, TimeNs
from brokenpipe.time_origin import Since

Action = Literal["renew", "clear", "inject", "heal", "restart"]


@dataclass(frozen=True, slots=True)
class FaultAction(Record):
    """One thing the nemesis did to one arm, with the time before and after the call.

    `fault` is its name, `parameters` are its own. `renew` ends connections so that others are opened, which end in
    another way; `clear` ends them when the load is over. These two and `restart` belong to no fault. Older histories
    have `arm` or `disarm`, and `clear` before every phase.
    """

    KIND: ClassVar[str] = "act"
    TABLE: ClassVar[str] = "acts"
    FILES: ClassVar[str] = "nemesis*.ndjson"
    t0: TimeNs
    t1: TimeNs
    action: Action
    fault: str | None
    arm: str
    phase: str
    episode: Int32 | None
    error: str | None = None
    parameters: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class FaultDetection(Record):
    """What a raw socket of the harness saw of a strike. A fault that it did not see did not land.

    `expected` is for readers; `timed_from` says what `after_ms` counts from.
    """

    KIND: ClassVar[str] = "landing"
    TABLE: ClassVar[str] = "landings"
    FILES: ClassVar[str] = "nemesis*.ndjson"
    t: TimeNs
    fault: str
    arm: str
    phase: str
    episode: Int32 | None
    expected: str
    seen: str
    after_ms: float | None
    landed: bool
    parameters: Mapping[str, object] | None = None
    timed_from: Since | None = None
