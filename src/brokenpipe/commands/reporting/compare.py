"""Compares several report folders and writes the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from brokenpipe.commands import console
from brokenpipe.commands.reporting.index_page import refresh_index_page
from brokenpipe.errors import ReportError, UsageError


def write_comparison(folders: Sequence[Path], reports: Path, output: Path | None) -> int:
    """Compare, write the page, print the table and the page's path. Returns the exit code.

    The code is 2 if a folder could not be read and was left out. Raises NotComparable, ReportError, UsageError.
    """
    from brokenpipe.drive.run_folder import write_error
    from brokenpipe.measure.compare.runs import compare
    from brokenpipe.report.compare import page
    from brokenpipe.report.compare.terminal import comparison_lines

    with console.out.status("reading the runs"):
        compared = compare(folders)
    path = output or reports / page.file_name(compared)
    try:
        if output is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        page.write_comparison(compared, path)
    except OSError as error:
        raise write_error(path, error) from error
    refresh_index_page(reports if path.parent.resolve() == reports.resolve() else None)
    for renderable in comparison_lines(compared):
        console.out.print(renderable, crop=False)
    for each in compared.left_out:
        console.print_error(
            ReportError(f"left out: {each.message}", remedy=each.remedy, details=each.details)
        )
    console.out.print(f"{path}", soft_wrap=True)
    return ReportError.exit_code if compared.left_out else 0


def reject_output(output: Path | None) -> None:
    """Raises UsageError if an output was given: the report of one run goes into the run's folder."""
    if output is not None:
        raise UsageError(
            f"--output {output}: says where a comparison goes, and one run was given",
            remedy="Give two runs or more, or leave --output out: the report is written into the run's folder.",
        )
