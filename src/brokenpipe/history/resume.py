"""The parts of an experiment that was cut off and resumed, put on one axis of time.

    part 1   ├──────────✂                    the machine may have been started anew in between, and its monotonic
    part 2                    ├────────┤     clock with it; a night may lie between them
    read as  ├──────────┤·5 s·├────────┤

Files are never rewritten: copies of the later parts' files are, with all their times moved. An earlier part's ledger
is left out, since the database that it was read from is no more.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from brokenpipe.history.clock_shift import TIME, shifted_copy
from brokenpipe.history.file_names import part_of

GAP_NS = 5_000_000_000  # between two parts, on the axis
TAIL_BYTES = 65_536


@contextmanager
def merge_parts(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The same files, where there is one part; else with copies of the later ones, for as long as the block lasts."""
    parts: dict[int, list[Path]] = {}
    for path in sorted(files):
        parts.setdefault(part_of(path), []).append(path)
    if len(parts) < 2:
        yield list(files)
        return
    last = max(parts)
    with tempfile.TemporaryDirectory(prefix=f"brokenpipe-reading-{os.getpid()}-") as scratch:
        found, end = [], 0
        for part in sorted(parts):
            mine = [path for path in parts[part] if part == last or not path.name.startswith("ledger")]
            by = end + GAP_NS - _first_time(mine) if end else 0
            end = by + _last_time(mine)
            found += [shifted_copy(path, by, Path(scratch)) for path in mine] if by else mine
        yield found


def _first_time(files: Sequence[Path]) -> int:
    """When a part began: every file opens with a clock."""
    return min((time for path in files for time in _times_near_end(path, head=True)), default=0)


def _last_time(files: Sequence[Path]) -> int:
    """The latest time that stands near the end of a file."""
    return max((time for path in files for time in _times_near_end(path, head=False)), default=0)


def _times_near_end(path: Path, *, head: bool) -> Iterator[int]:
    with path.open("rb") as file:
        if head:
            yield from (int(found) for _, found in TIME.findall(file.readline()))
            return
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        for line in file:
            if line.endswith(b"\n"):  # the number at the end of a torn line may be another
                yield from (int(found) for _, found in TIME.findall(line))
