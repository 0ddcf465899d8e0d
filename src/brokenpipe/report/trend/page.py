"""The trend as one self-contained page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from brokenpipe import atomic_write, formatting
from brokenpipe.measure.stats.change_points import runs_after
from brokenpipe.report.index.summaries import SkippedFile, StoredSummary
from brokenpipe.report.template import render
from brokenpipe.report.trend.charts import draw_trends
from brokenpipe.report.trend.series import METRICS, Trend, TrendChange

FILE = "trend.html"


def write_trend(
    folder: Path,
    read: tuple[Sequence[StoredSummary], Sequence[SkippedFile]],
    groups: Sequence[Trend],
    path: Path,
) -> None:
    """Write the page of what was read below a folder, in one step. Raises OSError when it cannot be written."""
    found, skipped = read
    links = [[report_link(run, path) for run in group.runs] for group in groups]
    drawn = draw_trends(groups, links)
    in_groups = {run.path for group in groups for run in group.runs}
    text = render(
        "trend.html.j2",
        trends=[
            {
                "trend": group,
                "number": number,
                "charts": charts,
                "runs": list(zip(group.runs, run_links, strict=True)),
                "arm_index": {arm: index for index, arm in enumerate(group.arms)},
                "changes": [(change, describe_change(change)) for change in group.changes],
                "sensitivity": describe_sensitivity(group),
                "phases": dict.fromkeys(chart.phase for chart in charts),
            }
            for number, (group, charts, run_links) in enumerate(zip(groups, drawn.charts, links, strict=True))
        ],
        metrics=METRICS,
        skipped=[(os.path.relpath(each.path, folder), each.why) for each in skipped],
        alone=[run.label for run in found if run.path not in in_groups],
        drawn=drawn.data,
        arm_index={},
    )
    atomic_write.write_text(path, text)


def report_link(run: StoredSummary, page: Path) -> str:
    """The way from the page to the run's report, or to its summary where that is all there is."""
    return os.path.relpath((run.page or run.path).resolve(), page.resolve().parent)


def describe_change(change: TrendChange) -> tuple[str, str, str]:
    """The level before a change, after it, and the difference."""
    if change.metric.is_latency:
        return (
            formatting.milliseconds(change.before),
            formatting.milliseconds(change.after),
            formatting.added_ms(change.after - change.before),
        )
    points = formatting.points(abs(change.after - change.before))
    sign = "+" if change.after > change.before else "−"
    return formatting.percent(change.before), formatting.percent(change.after), sign + points


def describe_sensitivity(trend: Trend) -> str:
    """Say from how many runs on a change can be told from chance, and how soon after it."""
    tested = max(trend.tested, 1)
    runs, soonest = formatting.plural(len(trend.runs), "run"), runs_after(len(trend.runs), tested)
    if soonest is None:
        return (
            f"{runs}: too few to tell any change from chance, with {tested} series that could change: "
            f"it takes {trend.runs_needed} or more."
        )
    return f"With {runs}, the clearest change can be told from chance from {soonest} runs after it on."
