"""`report` and `list`: the commands that read what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.comparing import no_output, write_comparison
from brokenpipe.commands.options import OutputOption, ReportsOption
from brokenpipe.commands.reporting import write_report
from brokenpipe.plan.project import find_project

app = typer.Typer()


@app.command(
    epilog="Examples: brokenpipe report reports/default/latest | "
    "brokenpipe report reports/default/20260314T020000Z reports/default/latest"
)
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="A report folder; several are compared with the first.", metavar="RUN…"),
    ],
    output: OutputOption = None,
) -> None:
    """Make the report of a recorded experiment again, from its folder alone; or compare several."""
    with console.answering_for_errors():
        if len(runs) > 1:
            write_comparison(runs, find_project(Path.cwd()).reports, output)
        else:
            no_output(output)
            write_report(runs[0])


@app.command(name="list", epilog="Example: brokenpipe list")
def list_(reports: ReportsOption = None) -> None:
    """What there is: scenarios, targets, faults, reports."""
    from brokenpipe.report.inventory import inventory

    with console.answering_for_errors():
        project = find_project(Path.cwd())
        for renderable in inventory(project, reports or project.reports):
            console.out.print(renderable)
