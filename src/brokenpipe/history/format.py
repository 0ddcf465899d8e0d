"""The format of a history, which stands in the clock that opens each of its files.

    1   a fault is a text with its parameters in it, `latency · 25 ms downstream`; a clock has no format
    2   a fault is a name, and its parameters stand beside it

Both are read; `schema/format_1.py` turns the first into the second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from brokenpipe.errors import ReportError
from brokenpipe.history.records import FORMAT

_HEAD_BYTES = 65_536
_WITH_FAULTS = ("experiment", "nemesis")


def has_fault_texts(files: Sequence[Path]) -> bool:
    """Whether a file with faults is of format 1. Raises ReportError for a file of a format that is not known."""
    formats = {path: file_format(path) for path in files}
    for path, found in formats.items():
        if found > FORMAT:
            raise ReportError(
                f"{path}: this history has format {found}; this version of brokenpipe reads formats 1 to {FORMAT}",
                remedy="Use the version of brokenpipe that recorded it, or a newer one: "
                "environment.json beside it names it.",
            )
    return any(found == 1 and path.name.startswith(_WITH_FAULTS) for path, found in formats.items())


def file_format(path: Path) -> int:
    """The format of one file. A first line that cannot be read counts as the present one: the reader reports it."""
    with path.open("rb") as file:
        head = file.readline(_HEAD_BYTES)
    try:
        found = json.loads(head).get("format", 1)
    except (ValueError, AttributeError, RecursionError):
        return FORMAT
    return found if type(found) is int and found > 0 else FORMAT
