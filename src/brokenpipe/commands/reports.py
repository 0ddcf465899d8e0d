"""`report` and `list`: the commands that read what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.options import ReportsOption
from brokenpipe.commands.reporting import write_report
from brokenpipe.errors import UsageError
from brokenpipe.plan.project import find_project

app = typer.Typer()


@app.command(epilog="Example: brokenpipe report reports/default/latest")
def report(
    runs: Annotated[list[Path], typer.Argument(help="A report folder.", metavar="RUN…")],
) -> None:
    """Make the report of a recorded experiment again, from its folder alone."""
    with console.answering_for_errors():
        if len(runs) > 1:
            raise UsageError(
                f"{len(runs)} folders given: this version cannot compare reports",
                remedy="Give one folder.",
            )
        write_report(runs[0])


@app.command(name="list", epilog="Example: brokenpipe list")
def list_(reports: ReportsOption = None) -> None:
    """What there is: scenarios, targets, faults, reports."""
    from brokenpipe.report.inventory import inventory

    with console.answering_for_errors():
        project = find_project(Path.cwd())
        for renderable in inventory(project, reports or project.reports):
            console.out.print(renderable)
