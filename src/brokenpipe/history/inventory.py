"""The files of a history and their sizes, written down when it is complete, so that one that is missing is missed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from brokenpipe.history.reader import History
from brokenpipe.history.table import EVERY_FILE


def files_written(folder: Path, *, but: Path, seen: Mapping[str, int]) -> dict[str, int]:
    """The size of each file of the history, by name. `but`: the one into which this is written.

    `seen` is how large files were while the run went on: what was removed or cut since is listed as it was.
    """
    there = {path.name: path.stat().st_size for path in folder.glob(EVERY_FILE)}
    names = sorted({*there, *seen} - {but.name})
    return {name: max(there.get(name, 0), seen.get(name, 0)) for name in names}


def recorded_files(history: History) -> dict[str, int]:
    """What the last line lists; nothing of a history that was cut off, or is older than these lists."""
    rows = history.rows("SELECT files FROM finishes WHERE files IS NOT NULL ORDER BY t DESC LIMIT 1")
    listed: dict[str, int] = rows[0][0] if rows else {}
    return {name: size for name, size in listed.items() if "/" not in name}
