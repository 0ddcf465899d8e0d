"""Measures a report folder, writes its reports, prints the result, and returns the exit code."""

from __future__ import annotations

import time
from pathlib import Path

from brokenpipe.commands import console
from brokenpipe.commands.reporting.index_page import refresh_index_page
from brokenpipe.commands.signals import EXIT_UNKNOWN
from brokenpipe.errors import BrokenpipeError

EXIT_CODES = {"pass": 0, "fail": 1, "unknown": EXIT_UNKNOWN}


def write_report(folder: Path, html: bool = True) -> int:
    """Measure, write every file of the report, print the result. Returns the verdict's exit code.

    `html`: whether the page is one of them.

    A run without a phase has no table: only the last line is printed, below its error.
    """
    from brokenpipe.commands.reporting.github_actions import write_github_summary
    from brokenpipe.drive.run_folder import write_error
    from brokenpipe.formatting import megabytes, plain, plural
    from brokenpipe.measure.pipeline import measure
    from brokenpipe.measure.regression.baseline import EPISODES_FILE, baseline_of
    from brokenpipe.measure.run_metadata import recorded_plan
    from brokenpipe.report.index.collection import collection_folder_of
    from brokenpipe.report.terminal.terminal import closing_line, result_lines
    from brokenpipe.report.writer import write_baseline, write_report_files

    began = time.monotonic()
    findings = measure(folder)
    try:
        file = write_report_files(findings, folder, html)
        if findings.finished == "done":  # half an experiment is no baseline
            write_baseline(baseline_of(folder, findings, recorded_plan(folder)), folder / EPISODES_FILE)
    except OSError as error:
        raise write_error(folder, error) from error
    refresh_index_page(collection_folder_of(folder, findings.stem))
    write_github_summary(findings)
    if findings.phases:
        amount = f"{plural(findings.health.requests, 'request')}, {megabytes(findings.health.history_bytes)} of history"
        console.out.print(f"{plain(amount)}: measured and reported in {time.monotonic() - began:.1f} s")
    lines = result_lines(findings, file, console.out) if findings.phases else closing_line(findings, file)
    console.out.print(lines, crop=False)
    return EXIT_CODES[findings.verdict.value]


def report_after_failure(folder: Path, html: bool) -> None:
    """After a failure, report what was recorded if possible. A failed report is printed and does not hide it."""
    try:
        with console.converting_shortages():
            write_report(folder, html)
    except BrokenpipeError as error:
        console.print_error(error)
