"""What there is to run and to read, for `brokenpipe list`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from rich.table import Table

from brokenpipe.errors import ScenarioError, TargetError
from brokenpipe.faults import AnyFault
from brokenpipe.plan.project import Project
from brokenpipe.plan.scenario import parse
from brokenpipe.plan.target import parse_target


def inventory(project: Project, reports: Path) -> Iterator[Table]:
    """One table each of scenarios, targets, faults and reports."""
    yield _scenarios(project)
    yield _targets(project)
    yield _faults()
    yield _reports(reports)


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", title_style="bold", expand=False)


def _scenarios(project: Project) -> Table:
    table = _table("Scenarios (scenarios/)", "name", "question", "arms", "about")
    for path in sorted(project.scenarios.glob("*.toml")):
        try:
            _, scenario = parse(path)
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
            table.add_row(path.parent.name, " ".join(parse_target(path.parent).command))
        except TargetError as error:
            table.add_row(path.parent.name, f"broken: {error.problems[0]}")
    return table


def _faults() -> Table:
    table = _table("Faults", "name", "parameters", "what it is")
    for fault in get_args(get_args(AnyFault)[0]):
        parameters = ", ".join(name for name in fault.model_fields if name != "name")
        kind = get_args(fault.model_fields["name"].annotation)[0]
        table.add_row(kind, parameters, (fault.__doc__ or "").partition("\n")[0])
    return table


def _reports(reports: Path) -> Table:
    table = _table(f"Reports ({reports.name}/)", "folder", "verdict", "took")
    for folder in sorted(path for path in reports.glob("*/*") if path.is_dir() and not path.is_symlink()):
        if not (folder / "plan.json").is_file():
            continue
        summary = _summary(folder)
        took = f"{summary['duration_s']:.0f} s" if "duration_s" in summary else ""
        table.add_row(f"{folder.parent.name}/{folder.name}", str(summary.get("verdict", "no summary")), took)
    return table


def _summary(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
