"""The comparison as one self-contained page."""

from __future__ import annotations

import os
import re
from pathlib import Path

from brokenpipe import atomic_write
from brokenpipe.measure.compare.runs import RunsCompared
from brokenpipe.report.compare import view
from brokenpipe.report.compare.charts import dash_of_run, draw_comparison, run_name
from brokenpipe.report.template import render

_NAME_CHARACTERS = 200  # a file's name has 255 at most


def render_comparison(compared: RunsCompared, path: Path) -> str:
    """Render the page as text; `path` is where it will be, for links to the runs' own reports."""
    arms = view.all_arms(compared)
    phases = tuple(
        dict.fromkeys(name for each in compared.comparisons for name in view.compared_phases(each))
    )
    drawn = draw_comparison(compared, arms, phases)
    names = [run_name(index, len(compared.runs)) for index in range(len(compared.runs))]
    pairs = list(zip(compared.comparisons, names[1:], strict=True))
    return render(
        "compare.html.j2",
        c=compared,
        base=compared.base.findings,
        runs=view.run_views(compared, [_link(run.folder, path) for run in compared.runs]),
        names=names,
        pairs=[
            {
                "name": name,
                "against": each,
                "sentence": view.describe_outcome(each, name),
                "lines": view.compared_metrics(each, name),
                "headlines": view.distinct_differences(view.compared_metrics(each, name)),
                "rows": view.comparison_rows(compared, each, name),
                "phases": view.compared_phases(each),
                "left_out": (
                    *view.describe_incomparable(each),
                    *view.describe_unknown_rates(compared, each, name),
                ),
            }
            for each, name in pairs
        ],
        doubts=[(name, view.verdict_warnings(run)) for name, run in zip(names, compared.runs, strict=True)],
        phase_charts=drawn.phases,
        drawn=drawn.data,
        run_dash=dash_of_run,
        arms=arms,
        arm_index={arm: index for index, arm in enumerate(arms)},
        command="brokenpipe report " + " ".join(str(run.folder) for run in compared.runs),
    )


def _link(folder: Path, page: Path) -> str:
    """The way from the page to a run's report, which works as long as both stay where they are."""
    return os.path.relpath(folder.resolve() / "report.html", page.resolve().parent)


def file_name(compared: RunsCompared) -> str:
    """Name the page after the scenario and the runs' folders, so that the same comparison has the same name."""
    folders = [run.folder.resolve().name for run in compared.runs]
    name = "-".join(["compare", compared.base.findings.stem, *folders])
    return (
        re.sub(r"[^A-Za-z0-9_.+-]", "_", name)[:_NAME_CHARACTERS] + ".html"
    )  # a plan can call its scenario anything


def write_comparison(compared: RunsCompared, path: Path) -> None:
    """Write the page in one step. Raises OSError when it cannot be written."""
    atomic_write.write_text(path, render_comparison(compared, path))
