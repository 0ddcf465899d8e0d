"""Results of the write audit as texts, for the page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from brokenpipe.formatting import count, plural
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.write_counts import WriteAudit, WriteCounts, WriteDiscrepancy

_DISCREPANCY_TEXTS = {
    "lost": "the client was told that it is stored, and the database does not have it",
    "doubled": "one write, carried out more than once",
    "unacknowledged": "the client was told that it failed, or got no answer, and the database has it",
    "never asked for": "no request of this run carried this key",
}


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One line of the table: an arm in a phase."""

    phase: str
    written: WriteCounts


@dataclass(frozen=True, slots=True)
class LedgerExample:
    """A few writes that came out in the same wrong way."""

    what: str
    meaning: str
    entries: tuple[WriteDiscrepancy, ...]


@dataclass(frozen=True, slots=True)
class LedgerTableRow:
    """Write audit of one arm. `unread` says why there is none; `said` sums up what is wrong."""

    arm: str
    unread: str
    said: str
    lines: tuple[LedgerLine, ...]
    never_asked_for: int
    examples: tuple[LedgerExample, ...]


def ledger_rows(findings: Findings) -> tuple[LedgerTableRow, ...]:
    """Build a row for each arm; none if the target has no ledger."""
    order = [*(phase.name for phase in findings.phases), ""]
    return tuple(
        LedgerTableRow(
            arm=arm,
            unread=books.unread,
            said=describe_wrong_writes(books) or "every write is as its client was told",
            lines=tuple(
                LedgerLine(phase or "between phases", books.by_phase[phase])
                for phase in order
                if phase in books.by_phase
            ),
            never_asked_for=books.never_asked_for,
            examples=_examples(books),
        )
        for arm, books in findings.ledger.items()
    )


def _examples(books: WriteAudit) -> tuple[LedgerExample, ...]:
    return tuple(
        LedgerExample(what, meaning, tuple(each for each in books.examples if each.what == what))
        for what, meaning in _DISCREPANCY_TEXTS.items()
        if any(each.what == what for each in books.examples)
    )


def describe_wrong_writes(books: WriteAudit) -> str:
    """Count the writes whose result differs from the answer; empty if there is none, or nothing is known."""
    total = books.total
    parts = (
        (total.lost, f"{count(total.lost)} of {plural(total.acknowledged, 'acknowledged write')} missing"),
        (total.doubled, f"{count(total.doubled)} committed more than once"),
        (
            total.unacknowledged,
            f"{count(total.unacknowledged)} committed although the client got an error or no answer",
        ),
        (books.never_asked_for, f"{count(books.never_asked_for)} that no request asked for"),
    )
    return ", ".join(text for number, text in parts if number)
