"""What was read of a target's ledger, before the experiment and after it: the lines of ledger.ndjson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from brokenpipe.history.records.base import Record, TimeNs


@dataclass(frozen=True, slots=True)
class LedgerEntry(Record):
    """How often one arm's database holds a key, read straight from it.

    At the `begin`, before any load, it is what the service was seeded with; at the `end`, after the last
    phase and healed, what is committed.
    """

    KIND: ClassVar[str] = "entry"
    TABLE: ClassVar[str] = "entries"
    FILES: ClassVar[str] = "ledger*.ndjson"
    arm: str
    edge: Literal["begin", "end"]
    key: str | None
    count: int


@dataclass(frozen=True, slots=True)
class LedgerSummary(Record):
    """The line below the entries of one reading. With an `error` they are not complete and say nothing."""

    KIND: ClassVar[str] = "balance"
    TABLE: ClassVar[str] = "balances"
    FILES: ClassVar[str] = "ledger*.ndjson"
    t: TimeNs
    arm: str
    edge: Literal["begin", "end"]
    entries: int
    error: str | None
