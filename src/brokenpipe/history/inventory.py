"""The files of a history, with sizes and checksums, written down at its end: what is gone or other is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from brokenpipe.history.records import EVERY_FILE

if TYPE_CHECKING:  # it brings DuckDB, and a run only writes
    from brokenpipe.history.reader import History

PLAN = "plan.json"
_PIECE = 1_048_576
_LONGEST_LINE = 1_048_576  # the last one, which lists all files


def list_files(folder: Path, *, but: Path, seen: Mapping[str, int]) -> dict[str, int]:
    """The size of each file of the history, by name. `but`: the one into which this is written.

    `seen` is how large files were while the run went on: what was removed or cut since is listed as it was.
    """
    there = {path.name: path.stat().st_size for path in folder.glob(EVERY_FILE)}
    names = sorted({*there, *seen} - {but.name})
    return {name: max(there.get(name, 0), seen.get(name, 0)) for name in names}


def compute_checksums(folder: Path, files: Mapping[str, int], log: Path) -> dict[str, str]:
    """SHA-256 of the plan, of each file as long as it is listed, and of `log`, to which this is appended.

    What cannot be read has none.
    """
    lengths: dict[str, int | None] = {PLAN: None, log.name: None, **files}
    found = {}
    for name, length in lengths.items():
        with suppress(OSError):
            found[name] = _sha256(folder / name, length)
    return found


def find_changed_files(history: History) -> Iterator[str]:
    """The names of files that are as long as they were, or longer, and hold something else up to there."""
    rows = history.rows(
        "SELECT files, checksums FROM finishes WHERE checksums IS NOT NULL ORDER BY t DESC LIMIT 1"
    )
    files, recorded = rows[0] if rows else ({}, {})
    for name, checksum in sorted(recorded.items()):
        path = history.folder / name
        if "/" in name or not path.is_file():
            continue  # it is missed where files are
        length = (files or {}).get(name)
        if length is None and name != PLAN:
            length = _without_last_line(path)
        if path.stat().st_size >= (length or 0) and _sha256(path, length) != checksum:
            yield name


def _without_last_line(path: Path) -> int:
    """How long a file is without its last line."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST_LINE))
        tail = file.read()
    return size - len(tail) + tail.rstrip(b"\n").rfind(b"\n") + 1


def _sha256(path: Path, length: int | None) -> str:
    """Of the first `length` bytes; None: of all."""
    found, left = hashlib.sha256(), length
    with path.open("rb") as file:
        while part := file.read(_PIECE if left is None else min(left, _PIECE)):
            found.update(part)
            left = None if left is None else left - len(part)
    return found.hexdigest()


def recorded_files(history: History) -> dict[str, int]:
    """What the last line lists; nothing of a history that was cut off, or is older than these lists."""
    rows = history.rows("SELECT files FROM finishes WHERE files IS NOT NULL ORDER BY t DESC LIMIT 1")
    listed: dict[str, int] = rows[0][0] if rows else {}
    return {name: size for name, size in listed.items() if "/" not in name}
