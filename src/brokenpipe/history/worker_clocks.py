"""The clocks of the load's workers against the harness's, from what was measured while they ran.

Every measurement says: the offset is this, give or take that. The narrowest is used; where another contradicts it, the
clocks have drifted apart by the gap between them, and that is added to the error.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.history.clock_shift import shifted_copy
from brokenpipe.history.file_names import part_of
from brokenpipe.history.records import ClockOffset

_FILE = re.compile(r"requests-(w\d+)\b")
_FURTHEST_NS = 2**60
_WRITTEN_BY_US = "experiment"


@dataclass(frozen=True, slots=True)
class WorkerClock:
    """What is added to every time that a worker wrote, and what that may be wrong by; None: it was not measured."""

    worker: str
    offset_ns: int
    error_ns: int | None
    measurements: int


@contextmanager
def correct_worker_clocks(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The same files, with copies of those of workers whose clock was another, for as long as the block lasts."""
    clocks = _clocks(files)
    offsets = {path: _offset(path, clocks) for path in files}
    if not any(offsets.values()):
        yield list(files)
        return
    with tempfile.TemporaryDirectory(prefix=f"brokenpipe-reading-{os.getpid()}-") as scratch:
        yield [shifted_copy(path, by, Path(scratch)) if by else path for path, by in offsets.items()]


def worker_clocks(folder: Path) -> tuple[WorkerClock, ...]:
    """Of each worker that was measured, by name; of several parts, the one that is known worst."""
    worst: dict[str, WorkerClock] = {}
    for clock in _clocks(sorted(folder.glob("*.ndjson"))).values():
        known = worst.get(clock.worker)
        if known is None or (known.error_ns or 0) < (clock.error_ns or 0):
            worst[clock.worker] = clock
    return tuple(worst[name] for name in sorted(worst, key=lambda name: (len(name), name)))


def _offset(path: Path, clocks: Mapping[tuple[int, str], WorkerClock]) -> int:
    found = _FILE.match(path.name)
    clock = clocks.get((part_of(path), found[1])) if found else None
    return clock.offset_ns if clock else 0


def _clocks(files: Sequence[Path]) -> dict[tuple[int, str], WorkerClock]:
    """Of each worker in each part of the experiment."""
    measured: dict[tuple[int, str], list[ClockOffset]] = {}
    for path in files:
        if path.name.startswith(_WRITTEN_BY_US):
            for sync in _read_clock_offsets(path):
                measured.setdefault((part_of(path), sync.worker), []).append(sync)
    return {place: _clock(syncs) for place, syncs in measured.items()}


def _clock(measured: list[ClockOffset]) -> WorkerClock:
    best = min(measured, key=lambda sync: sync.error_ns)
    gaps = (abs(sync.offset_ns - best.offset_ns) - sync.error_ns - best.error_ns for sync in measured)
    return WorkerClock(best.worker, best.offset_ns, best.error_ns + max(0, *gaps), len(measured))


def _read_clock_offsets(path: Path) -> Iterator[ClockOffset]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if f'"k":"{ClockOffset.KIND}"' in line:
                with suppress(
                    ValueError, TypeError, RecursionError
                ):  # torn or damaged, which the reader counts
                    sync = ClockOffset.from_json(json.loads(line))
                    if _is_sound(sync):
                        yield sync


def _is_sound(sync: ClockOffset) -> bool:
    """Whether it is made of what a measurement is made of: a file can say anything."""
    numbers = (sync.t, sync.offset_ns, sync.error_ns)
    whole = all(type(each) is int and abs(each) < _FURTHEST_NS for each in numbers)
    return whole and sync.error_ns >= 0 and isinstance(sync.worker, str)
