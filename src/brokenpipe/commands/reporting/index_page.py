"""The index page of reports/, updated after each write there."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.commands import console


def refresh_index_page(reports: Path | None) -> None:
    """Write the index page. A failed write is printed, and is no error. None: nothing to do."""
    from brokenpipe.report.index.index import FILE, write_index

    if reports is None:
        return
    try:
        write_index(reports)
    except OSError as error:
        path = reports / FILE
        console.err.print(f"{path}: cannot be written: {error.strerror or error}", soft_wrap=True)
