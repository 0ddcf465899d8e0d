"""A report made from a folder as `brokenpipe report` makes it, without starting a program."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from tests.strangers.told import Report

from brokenpipe.measure.pipeline import measure
from brokenpipe.report.terminal.terminal import result_lines
from brokenpipe.report.writer import write_report_files


def make_report(folder: Path) -> Report:
    """Write its files beside the history, and read them with what the terminal would say."""
    findings = measure(folder)
    page = write_report_files(findings, folder, html=True)
    console = Console(width=200, file=io.StringIO())
    with console.capture() as printed:
        console.print(result_lines(findings, page, console), crop=False)
    return Report.read(folder, printed.get())
