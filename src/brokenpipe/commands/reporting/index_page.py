"""The start page of reports/, brought up to date after whatever was written there."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.commands import console


def refresh_index_page(reports: Path | None) -> None:
    """Write it anew. That it cannot be written is said, and never hides what was measured. None: there is none."""
    from brokenpipe.report.index.index import FILE, write_index

    if reports is None:
        return
    try:
        write_index(reports)
    except OSError as error:
        path = reports / FILE
        console.err.print(f"{path}: cannot be written: {error.strerror or error}", soft_wrap=True)
