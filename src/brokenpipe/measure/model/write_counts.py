"""Data model of the write audit: keyed writes of each arm and phase. `tables/write_audit` counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """Counts of keyed writes: how each was answered, and whether the database holds it.

    asked = acknowledged + refused + unanswered. `refused`: answered with an error. `unanswered`: the client does
    not know. `lost`: acknowledged and not there. `unacknowledged`: there, though refused or unanswered. `doubled`:
    there more than once.
    """

    acknowledged: int = 0
    refused: int = 0
    unanswered: int = 0
    lost: int = 0
    unacknowledged: int = 0
    doubled: int = 0

    @property
    def asked(self) -> int:
        return self.acknowledged + self.refused + self.unanswered

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(
            *(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )


@dataclass(frozen=True, slots=True)
class WriteDiscrepancy:
    """An example of a write whose result differs from its answer."""

    what: str  # "lost", "doubled", "unacknowledged" or "never asked for"
    phase: str  # in which it was asked for; empty between phases
    key: str
    request: str  # its name, e.g. "POST /memories"; empty without a request
    request_id: str
    count: int  # how often the database holds it


@dataclass(frozen=True, slots=True)
class WriteAudit:
    """The audit of one arm's ledger. `unread` says why it is not known; empty if it is."""

    arm: str
    unread: str
    by_phase: Mapping[
        str, WriteCounts
    ]  # by the phase in which a write was first asked for; "" between phases
    never_asked_for: int  # keys that the database holds and that no request carried
    examples: tuple[WriteDiscrepancy, ...]

    @property
    def total(self) -> WriteCounts:
        return sum(self.by_phase.values(), WriteCounts())
