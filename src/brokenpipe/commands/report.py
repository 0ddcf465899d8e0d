"""`report`, `trend` and `list`: the commands that read recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.options import BaselineOption, OutputOption, ReportsOption, TrendOption
from brokenpipe.commands.reporting.baseline import reject_baseline, set_baseline
from brokenpipe.commands.reporting.compare import reject_output, write_comparison
from brokenpipe.commands.reporting.report import write_report
from brokenpipe.commands.reporting.trend import write_trend_page
from brokenpipe.commands.signals import raise_on_signals
from brokenpipe.plan.project import find_project

app = typer.Typer()


@app.command(
    epilog="Examples: brokenpipe report reports/default/latest | "
    "brokenpipe report reports/default/20260314T020000Z reports/default/latest | "
    "brokenpipe report reports/default/latest --baseline reports/default/20260314T020000Z"
)
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="A report folder; several are compared with the first.", metavar="RUN…"),
    ],
    baseline: BaselineOption = None,
    output: OutputOption = None,
) -> None:
    """Make the report of a recorded experiment again, from its folder alone; or compare several.

    With --baseline it is held against another one, and the exit code is the verdict's, as that of `run`. Of several,
    one that cannot be read is named and left out, the others are compared, and the exit code is 2.
    """
    with console.exiting_on_errors():
        raise_on_signals()
        if len(runs) > 1:
            reject_baseline(baseline)
            raise typer.Exit(write_comparison(runs, find_project(Path.cwd()).reports, output))
        reject_output(output)
        if baseline is not None:
            set_baseline(runs[0], baseline)
        code = write_report(runs[0])
        raise typer.Exit(0 if baseline is None else code)


@app.command(epilog="Example: brokenpipe trend reports/")
def trend(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where summaries lie, at any depth; default: reports/.", metavar="FOLDER"),
    ] = None,
    output: TrendOption = None,
) -> None:
    """What changed over many runs, and when: every summary.json below a folder as one page."""
    with console.exiting_on_errors():
        raise_on_signals()
        write_trend_page(folder or find_project(Path.cwd()).reports, output)


@app.command(name="list", epilog="Example: brokenpipe list")
def list_(reports: ReportsOption = None) -> None:
    """What there is: scenarios, targets, faults, reports."""
    from brokenpipe.report.terminal.listing import listing_tables

    with console.exiting_on_errors():
        project = find_project(Path.cwd())
        for renderable in listing_tables(project, reports or project.reports):
            console.out.print(renderable)
