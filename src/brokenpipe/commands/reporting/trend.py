"""Writes the trend page from the summaries of many runs."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.commands import console
from brokenpipe.commands.reporting.index_page import refresh_index_page
from brokenpipe.errors import ReportError


def write_trend_page(folder: Path, output: Path | None) -> None:
    """Write the page, print what changed, what was skipped, and the page's path.

    Raises ReportError if there is no such folder, or no summary in it.
    """
    from brokenpipe.drive.run_folder import write_error
    from brokenpipe.history.reader import require_folder
    from brokenpipe.report.index.index import FILE as INDEX
    from brokenpipe.report.index.summaries import read_summaries
    from brokenpipe.report.trend import page
    from brokenpipe.report.trend.series import group_trends
    from brokenpipe.report.trend.terminal import trend_lines

    require_folder(folder)
    found, skipped = read_summaries(folder)
    if not found and not skipped:
        raise ReportError(
            f"{folder}: no summary.json in it, at any depth",
            remedy="Give a folder of reports, or of summaries that were kept from earlier runs.",
        )
    path, groups = output or folder / page.FILE, group_trends(found)
    try:
        page.write_trend(folder, (found, skipped), groups, path)
    except OSError as error:
        raise write_error(path, error) from error
    if path.parent.resolve() == folder.resolve() and (folder / INDEX).is_file():
        refresh_index_page(folder)
    for renderable in trend_lines(groups, skipped):
        console.out.print(renderable, crop=False)
    console.out.print(f"{path}", soft_wrap=True)
