"""Warnings about files of the history that are missing, shortened or changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brokenpipe.formatting import count, plural
from brokenpipe.history.inventory import find_changed_files, recorded_files
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.kind import Affected
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.plan.plan import Plan

_CONTENTS = {
    "experiment": "when phases and episodes were, and what was in doubt",
    "nemesis": "what was done to each arm and when, and whether it landed",
    "requests": "requests, and how they ended",
    "witness": "what requests met inside the service",
    "gauges": "how busy the machine and each process were, whether its clocks went together, and what Postgres had",
    "links": "which connections ended, and who ended them",
    "ledger": "what the databases held at the end",
    "containers": "which containers ended or stood still",
    "watch": "which parts of the run stood still or gave no answer",
}
# Of what is gone otherwise, a failed request stands all the same; of requests themselves nothing does.
_STANDS: dict[str, Affected] = {
    "gauges": "counts",
    "containers": "counts",
    "watch": "counts",
    "ledger": "counts",
    "links": "failed",
    "nemesis": "failed",
    "witness": "failed",
}
_ALWAYS = ("requests", "nemesis", "gauges", "links")


def file_warnings(history: History, plan: Plan, *, ended: str) -> tuple[ValidityWarning, ...]:
    """Of a run that came to its end. `ended`: as in `Finish`; one that was cut off cannot pass anyway."""
    folder = history.folder
    listed = recorded_files(history)
    doubts = [*_removed_files(folder, listed), *map(_changed, find_changed_files(history))]
    if ended in {"done", "stopped"}:
        doubts += _unrecorded_files(folder, plan, listed)
        doubts += _missing_starts(history)
    return tuple(doubts)


def _removed_files(folder: Path, listed: dict[str, int]) -> Iterator[ValidityWarning]:
    """Files that the last line of the history lists, and that are gone or shorter than they were."""
    for name, size in sorted(listed.items()):
        path = folder / name
        left = path.stat().st_size if path.is_file() else None
        if left is None:
            yield _incomplete_warning(name, "is not there")
        elif left < size:
            what = f"has {count(left)} of the {count(size)} bytes that it had when the run ended"
            yield _incomplete_warning(name, what)


def _unrecorded_files(folder: Path, plan: Plan, listed: dict[str, int]) -> Iterator[ValidityWarning]:
    """Files that every run of any version has, with at least their opening line."""
    for writer in (*_ALWAYS, *(["ledger"] if plan.arms_with_ledger else [])):
        known = any(writer_of(name) == writer for name in listed)
        if not known and not any(path.stat().st_size for path in folder.glob(f"{writer}*.ndjson")):
            yield _incomplete_warning(f"{writer}.ndjson", "is not there")


# The end of a request that was under way for a while says that its start was written before.
_WITHOUT_START = """
SELECT count(*) FROM ended e WHERE (begun OR t0 IS NULL)
AND NOT EXISTS (FROM started s WHERE s.arm = e.arm AND s.id = e.id)
"""


def _missing_starts(history: History) -> Iterator[ValidityWarning]:
    (lacking,) = history.one(_WITHOUT_START)
    if lacking:
        text = f"lacks the starts of {plural(lacking, 'request')} that ended"
        yield _incomplete_warning("requests.ndjson", text)


def _changed(name: str) -> ValidityWarning:
    text = f"{name} is not what it was when the run ended: its checksum is another, so nothing that it says is certain"
    return ValidityWarning.of(Code.HISTORY_CHANGED, text)


def writer_of(name: str) -> str:
    """Who writes a file: `witness` of `witness-plain-77.r2.ndjson`."""
    return name.partition(".")[0].partition("-")[0]


def _incomplete_warning(name: str, what: str) -> ValidityWarning:
    writer = writer_of(name)
    text = f"{name} {what}: it would have told {_CONTENTS.get(writer, 'what its writer saw')}"
    return ValidityWarning.of(Code.HISTORY_INCOMPLETE, text, stands=_STANDS.get(writer, "nothing"))
