"""What there is to run and to read, for `brokenpipe list`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from brokenpipe import formatting
from brokenpipe.errors import ScenarioError, TargetError
from brokenpipe.faults import fault_kinds, registry
from brokenpipe.plan.project import Project
from brokenpipe.plan.scenario import parse_scenario
from brokenpipe.plan.target import parse_target
from brokenpipe.redaction import redacted_text
from brokenpipe.report.index.collection import ReportCollection, read_collection

SHOWN = 20  # of each scenario; the start page shows all


def listing_tables(project: Project, reports: Path) -> Iterator[Table]:
    """One table each of scenarios, targets, faults, reports, and of the pages made from several."""
    yield _scenarios(project)
    yield _targets(project)
    yield _faults()
    there = read_collection(reports)
    yield _reports(there)
    yield from _pages(there)


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", title_style="bold", expand=False)


def _scenarios(project: Project) -> Table:
    table = _table("Scenarios (scenarios/)", "name", "question", "arms", "about")
    for path in sorted(project.scenarios.glob("*.toml")):
        try:
            _, scenario = parse_scenario(path)
        except ScenarioError as error:
            table.add_row(path.stem, f"broken: {error.problems[0]}", "", "")
        else:
            table.add_row(
                path.stem, scenario.question, ", ".join(scenario.arms), f"{scenario.forecast_s:.0f} s"
            )
    return table


def _targets(project: Project) -> Table:
    table = _table("Targets (targets/)", "name", "command")
    for path in sorted(project.targets.glob("*/target.toml")):
        try:
            table.add_row(path.parent.name, redacted_text(" ".join(parse_target(path.parent).command)))
        except TargetError as error:
            table.add_row(path.parent.name, f"broken: {error.problems[0]}")
    return table


def _faults() -> Table:
    table = _table("Faults", "name", "parameters", "what it is")
    for kind in fault_kinds():
        name, parameters = kind.fault_name(), ", ".join(each for each in kind.model_fields if each != "name")
        plugin = registry().plugins.get(name)
        source = f" ({plugin.distribution} {plugin.version})" if plugin else ""
        table.add_row(name, parameters, kind.summary() + source)
    for problem in registry().problems:
        table.add_row("", "", f"broken: {problem.message}")
    return table


def _reports(there: ReportCollection) -> Table:
    table = _table(f"Reports ({there.folder.name}/), the newest first", "folder", "verdict", "took")
    table.add_column("requests", justify="right")
    for stem, runs in there.scenarios:
        for run in runs[:SHOWN]:
            place = f"{run.folder.parent.name}/{run.folder.name}"
            if run.found is None:
                table.add_row(place, run.why, "", "")
                continue
            summary = run.found.summary
            ended = "" if summary.finished == "done" else f", {summary.finished}"
            took = formatting.plain(formatting.seconds(summary.duration_s))
            table.add_row(place, f"{summary.verdict}{ended}", took, formatting.count(run.found.requests))
        if len(runs) > SHOWN:
            table.add_row(f"{stem}: {len(runs) - SHOWN} older ones", "", "", "")
    return table


def _pages(there: ReportCollection) -> Iterator[Table]:
    """Of comparisons and trends, if there are any."""
    if there.pages:
        table = _table("Comparisons and trends", "page", "of")
        for page in there.pages[:SHOWN]:
            table.add_row(page.path.name, page.title)
        yield table
