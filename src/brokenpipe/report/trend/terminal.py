"""The trend in the terminal: what changed, and what was skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from brokenpipe import formatting
from brokenpipe.report import texts
from brokenpipe.report.index.summaries import SkippedFile
from brokenpipe.report.trend.page import describe_change, describe_sensitivity
from brokenpipe.report.trend.series import Trend, TrendChange


def trend_lines(groups: Sequence[Trend], skipped: Sequence[SkippedFile]) -> Iterator[RenderableType]:
    """One group after the other, the newest change first."""
    for group in groups:
        runs = formatting.plural(len(group.runs), "run")
        yield Text(texts.to_one_line(f"{group.newest.scenario} · {runs}"), style="bold")
        for change in group.changes:
            yield Padding(_change(group, change), (0, 0, 0, 2))
        if not group.changes:
            yield Padding(Text("No change that chance alone would not show."), (0, 0, 0, 2))
        yield Padding(Text(describe_sensitivity(group), style="dim"), (0, 0, 1, 2))
    if not groups:
        yield Text("No trend: it takes two runs of the same scenario, with the same users.")
    for each in skipped:
        said_so = texts.to_one_line(f"skipped {each.path}: {each.why}")
        yield Text(said_so, style="yellow", no_wrap=True, overflow="ignore")  # a path stays whole


def _change(group: Trend, change: TrendChange) -> Text:
    before, after, difference = (formatting.plain(text) for text in describe_change(change))
    begun = f"{group.runs[change.run].summary.started:%Y-%m-%d %H:%M}"
    text = (
        f"since {begun}: {change.metric.heading.lower()} of {change.arm} in {change.phase} "
        f"{before} → {after} ({difference})"
    )
    if change.otherwise:
        text += f"; that run had {', '.join(change.otherwise)}"
    return Text(texts.to_one_line(text), style="red" if change.after > change.before else "green")
