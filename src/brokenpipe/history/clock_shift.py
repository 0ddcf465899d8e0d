"""Copies of a history's files with all their times moved: the files themselves are never rewritten."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from brokenpipe.errors import ReportError
from brokenpipe.history.schema.tables import TIME_KEYS

# Keys of monotonic times in every kind of line. Inside of a string a quotation mark has a backslash before it. A time
# can be negative: a clock counts from where its machine booted, and a worker's may have booted later than ours.
TIME = re.compile(rb'((?<!\\)"(?:%b)": ?)(-?\d{1,19})(?!\d)' % "|".join(sorted(TIME_KEYS)).encode())


def shifted_copy(path: Path, by: int, scratch: Path) -> Path:
    """A copy with every time moved by so many nanoseconds. Raises ReportError."""

    def later(found: re.Match[bytes]) -> bytes:
        return b"%b%d" % (found[1], int(found[2]) + by)

    copy = scratch / path.name
    try:
        with path.open("rb") as source, copy.open("wb") as target:
            for line in source:
                target.write(TIME.sub(later, line))
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read on the clock of the others: {error.strerror or error}",
            remedy=f"Make room in {tempfile.gettempdir()}, or name another place in TMPDIR.",
        ) from error
    return copy
