"""The comparison in the terminal: renderables only, no line wider than 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brokenpipe import formatting
from brokenpipe.measure.compare.runs import RunAgainstBase, RunsCompared
from brokenpipe.plan.expectations import Metric
from brokenpipe.report import texts
from brokenpipe.report.compare import view
from brokenpipe.report.compare.charts import run_name

_SHOWN = {
    Metric.BROKEN_PIPE_RATE: "broken",
    Metric.BROKEN_PER_EPISODE: "broken",
    Metric.P50_MS: "median",
    Metric.REQUESTS_PER_S: "asked/s",
}
_COLUMNS = (("", 7), ("base", 8), ("new", 8), ("difference", 13), ("95 % interval", 20), ("", 7))
_STYLE = {"worse": "bold red", "better": "bold green"}


def comparison_lines(compared: RunsCompared) -> Iterator[RenderableType]:
    """Build the differences in configuration, a table for each later run, and the outcome."""
    yield Text(texts.to_one_line(compared.base.findings.question), style="bold")
    for index, run in enumerate(compared.runs):
        name = run_name(index, len(compared.runs))
        yield Text(texts.to_one_line(f"{name:6} {view.run_label(run)}  {run.findings.verdict.value}"))
    yield Text()
    yield from _config_differences(compared)
    for index, against in enumerate(compared.comparisons, start=1):
        yield from _run_differences(compared, against, run_name(index, len(compared.runs)))


def _config_differences(compared: RunsCompared) -> Iterator[RenderableType]:
    if not compared.config_differences:
        yield Text("No difference between the runs, as far as they were recorded.")
        return
    yield Text("What differs between the runs", style="bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    for each in compared.config_differences:
        values = [Text(texts.to_one_line(value), overflow="fold") for value in each.values]
        grid.add_row(Text(texts.to_one_line(each.setting), overflow="fold"), *values)
    yield Padding(grid, (0, 0, 0, 2))


def _run_differences(compared: RunsCompared, against: RunAgainstBase, name: str) -> Iterator[RenderableType]:
    rows = view.comparison_rows(compared, against, name)
    width = min(max((len(texts.to_one_line(row.arm)) for row in rows), default=0) + 2, 15)
    yield Text()
    yield _head(width, name)
    for index, phase in enumerate(view.compared_phases(against)):
        yield Text(texts.to_one_line(phase), style="bold")
        grid = _grid(width)
        for row in rows:
            shown = [line for line in row.places[index].lines if line.metric in _SHOWN]
            for n, line in enumerate(shown):
                grid.add_row(Text("" if n else texts.to_one_line(row.arm)), *_cells(line))
        yield Padding(grid, (0, 0, 0, 2))
    yield from _error_class_lines(against)
    for reason in (
        *view.describe_incomparable(against),
        *view.describe_unknown_rates(compared, against, name),
    ):
        yield Text(f"not compared: {texts.to_one_line(reason)}", style="yellow")
    yield Padding(Text(texts.to_one_line(view.describe_outcome(against, name)), style="bold"), (1, 0, 0, 0))
    yield Text(f"{view.UNDECIDED_TEXT}: no further apart than chance alone would show.", style="dim")


def _grid(arm_width: int) -> Table:
    grid = Table.grid()
    grid.add_column(width=arm_width, overflow="fold")
    for n, (_, width) in enumerate(_COLUMNS):
        grid.add_column(width=width, justify="left" if n == 0 else "right", overflow="fold")
    return grid


def _head(arm_width: int, name: str) -> RenderableType:
    grid = _grid(arm_width)
    heads = [name if head == "new" else head for head, _ in _COLUMNS]
    grid.add_row("", *(Text(head, style="dim") for head in heads))
    return Padding(grid, (0, 0, 0, 2))


def _cells(line: view.ComparedMetric) -> list[Text]:
    values = (_SHOWN[line.metric], line.base, line.new, line.difference, line.interval)
    style = _STYLE.get(line.mark, "dim")
    return [*(Text(formatting.plain(value)) for value in values), Text(line.mark, style=style)]


def _error_class_lines(against: RunAgainstBase) -> Iterator[RenderableType]:
    """Only what one of the two runs lacks."""
    for each in against.classes:
        if each.status != "both":
            counts = each.new if each.status == "new" else each.base
            arms = ", ".join(f"{arm} {count:,}" for arm, count in counts.items())
            yield Text(
                texts.to_one_line(f"{each.status} error class: {each.error_class} ({arms})"), style="yellow"
            )
