"""`advise`: settings of a SQLAlchemy engine, from a recorded run whose arms have pools of different sizes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.signals import EXIT_UNKNOWN
from brokenpipe.errors import ReportError, UsageError
from brokenpipe.plan.project import find_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from brokenpipe.measure.model.findings import Findings

app = typer.Typer()

SCENARIO = "sizing"
_Workers = Annotated[
    int | None,
    typer.Option(min=1, max=10_000, metavar="N", help="Processes of your service, over all machines."),
]
_PeakPerS = Annotated[
    float | None, typer.Option(metavar="R", help="Requests a second that use the database, at peak.")
]
_HoldMs = Annotated[
    float | None, typer.Option(metavar="MS", help="How long each keeps a connection, on average.")
]
_MaxConnections = Annotated[
    int | None, typer.Option(min=4, max=262_143, metavar="M", help="max_connections of your Postgres.")
]


@app.command(
    epilog="Examples: brokenpipe run sizing; brokenpipe advise | "
    "brokenpipe advise --workers 4 --peak-per-s 40 --hold-ms 1500 --max-connections 100"
)
def advise(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A report folder whose arms differ in the size of their pools; default: reports/sizing/latest.",
            metavar="REPORT",
        ),
    ] = None,
    workers: _Workers = None,
    peak_per_s: _PeakPerS = None,
    hold_ms: _HoldMs = None,
    max_connections: _MaxConnections = None,
) -> None:
    """How large a pool should be, from a run that measured it: the curve, its knee, and an engine's settings.

    What is left out of the options is taken from the run. Exits 0; 2 if the report says nothing about sizes; 3 if it
    does not decide, also because no pool could be seen.
    """
    with console.exiting_on_errors():
        for option, value in (("--peak-per-s", peak_per_s), ("--hold-ms", hold_ms)):
            _require_positive(option, value)
        known = _advise(folder or _latest_run(), (workers, peak_per_s, hold_ms, max_connections))
        raise typer.Exit(0 if known else EXIT_UNKNOWN)


def _advise(folder: Path, given: tuple[int | None, float | None, float | None, int | None]) -> bool:
    """Print the advice. Returns whether the run decides. Raises ReportError if it says nothing about sizes."""
    from brokenpipe.measure.pipeline import measure
    from brokenpipe.measure.sizing.advice import advise, complete_demand, demand_at, measured_demand
    from brokenpipe.measure.sizing.curve import sizing_curve
    from brokenpipe.report.terminal import advice as report

    findings = measure(folder)
    sizing = sizing_curve(findings)
    run = f"run {folder.resolve().parent.name}/{folder.resolve().name}"
    if sizing is None:
        return _without_sizes(folder, findings)
    _print(report.curve_lines(findings, sizing, run))
    _print(report.rule_lines(findings, sizing, run))
    own = measured_demand(findings, sizing)
    chosen = complete_demand(given, own)
    if own is not None and chosen is not None and sizing.knee is not None:
        _print(report.settings_lines(findings, sizing, advise(findings, sizing, chosen, sizing.knee), run))
        return sizing.is_known
    if any(value is not None for value in given):
        _print(
            report.undecided_lines(sizing, complete_demand(given, demand_at(findings, sizing.curve[-1])), run)
        )
    return False


def _print(renderables: Iterable[RenderableType]) -> None:
    for renderable in renderables:
        console.out.print(renderable)


def _without_sizes(folder: Path, findings: Findings) -> bool:
    """Print why there is no advice, and return False, if no pool was seen. Raises ReportError if all have one size."""
    error = _no_sizes_error(folder, findings)
    if findings.pools:
        raise error
    console.print_error(error)
    return False


def _latest_run() -> Path:
    """Raises UsageError when there is no run of the sizing scenario yet."""
    folder = find_project(Path.cwd()).reports / SCENARIO / "latest"
    if not folder.exists():
        raise UsageError(
            f"{folder}: there is no run that measured pool sizes",
            remedy=f"Run `brokenpipe run {SCENARIO}` first, or name a report folder.",
        )
    return folder


def _no_sizes_error(folder: Path, findings: Findings) -> ReportError:
    """The error for a run without a curve of sizes."""
    seen = tuple(f"{arm}: {_pool_text(findings, arm)}" for arm in findings.arms)
    if not findings.pools:
        return ReportError(
            f"{folder}: how its pools were used is not known, so how large one should be cannot be told",
            remedy="The witness knows SQLAlchemy's pools, in a Python service that it was loaded into "
            "(docs/witness.md). Of another pool, ask its own statistics for waits.",
            details=seen,
        )
    return ReportError(
        f"{folder}: its pools are of no different sizes, so it says nothing about sizes",
        remedy="Give a run with three arms or more whose pools differ in size, and with a phase that has no fault: "
        f"`brokenpipe run {SCENARIO}`, or a copy of scenarios/{SCENARIO}.toml for your service.",
        details=seen,
    )


def _pool_text(findings: Findings, arm: str) -> str:
    from brokenpipe.report import texts

    use = next((use for (of, _), use in findings.pools.items() if of == arm), None)
    if use is None:
        return (
            texts.describe_missing_coverage(findings, arm)
            or "its pool was seen, but not how long requests waited for it"
        )
    if use.most is None:
        return "a pool without a limit"
    return f"{use.processes} × pools of {use.most // use.processes}"


def _require_positive(option: str, value: float | None) -> None:
    if value is not None and not (0 < value < math.inf):
        raise UsageError(f"{option} {value:g}: must be above 0", remedy=f"Write for example {option} 40.")
