"""The files of a history and their sizes, written down when it is complete, so that one that is missing is missed."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.history.reader import History
from brokenpipe.history.table import EVERY_FILE


def files_written(folder: Path, *, but: Path) -> dict[str, int]:
    """The size of each file of the history, by name. `but`: the one into which this is written."""
    return {path.name: path.stat().st_size for path in sorted(folder.glob(EVERY_FILE)) if path != but}


def recorded_files(history: History) -> dict[str, int]:
    """What the last line lists; nothing of a history that was cut off, or is older than these lists."""
    rows = history.rows("SELECT files FROM finishes WHERE files IS NOT NULL ORDER BY t DESC LIMIT 1")
    listed: dict[str, int] = rows[0][0] if rows else {}
    return {name: size for name, size in listed.items() if "/" not in name}
