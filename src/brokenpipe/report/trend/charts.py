"""The trend's charts: a panel for each metric and phase, a line for each arm, runs side by side.

Evenly spaced, whatever the time between two runs: what happened when no run was made nobody knows. A click on a point
opens the report of its run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataRange1d,
    FixedTicker,
    HoverTool,
    OpenURL,
    Range1d,
    TapTool,
)
from bokeh.models.renderers import DataRenderer
from bokeh.plotting import figure

from brokenpipe.report.arm_styles import colour_of, dash_of
from brokenpipe.report.charts import Roles, apply_style, empty_chart, to_bokeh_json
from brokenpipe.report.trend.series import Trend, TrendLine, TrendPanel

HEIGHT_PX = 190
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus")
TICKS = 5
SPREAD = 0.36  # of the room between two runs, shared by the arms, so that intervals stand side by side


@dataclass(frozen=True, slots=True)
class TrendChart:
    """One panel's place in the page."""

    element: str
    heading: str
    phase: str
    unit: str


@dataclass(frozen=True, slots=True)
class TrendCharts:
    """All charts of a page: of each trend those to lay out, and what `charts.js` draws."""

    charts: tuple[tuple[TrendChart, ...], ...]
    data: Mapping[str, object] | None


class _TrendDrawing:
    def __init__(self) -> None:
        self.roles = Roles()
        self.plots: dict[str, figure] = {}

    def trend(self, number: int, trend: Trend, links: Sequence[str]) -> tuple[TrendChart, ...]:
        last = len(trend.runs) - 1
        ends = (-0.6, last + 0.6)
        x_range = Range1d(start=ends[0], end=ends[1], bounds=ends)
        dates = _dates(trend)
        charts = []
        for n, panel in enumerate(trend.panels):
            element = f"trend-{number}-{n}"
            y_range = DataRange1d(min_interval=1.0) if panel.metric.key == "cost" else DataRange1d(start=0)
            plot = self.plots[element] = empty_chart(HEIGHT_PX, x_range, y_range)
            factor, unit = (1.0, "ms") if panel.metric.is_latency else (100.0, "%")
            drawn = [
                renderer
                for line in panel.lines
                for renderer in self._line(plot, (number, trend), line, factor, dates, links)
            ]
            y_range.renderers = [*drawn]
            apply_style(plot, self.roles)
            self._axis(plot, dates)
            charts.append(TrendChart(element, panel.metric.heading, panel.phase, unit))
            self._tools(plot, panel, unit)
        return tuple(charts)

    def _line(
        self,
        plot: figure,
        numbered: tuple[int, Trend],
        line: TrendLine,
        factor: float,
        dates: Sequence[str],
        links: Sequence[str],
    ) -> list[DataRenderer]:
        """Draw a thin line from run to run with intervals, a level before and after each change, and the points."""
        number, trend = numbered
        index = trend.arms.index(line.arm)
        shift = SPREAD * ((index + 0.5) / len(trend.arms) - 0.5)
        dash = list(dash_of(index))
        x = [point.run + shift for point in line.points]
        y = [point.value * factor for point in line.points]
        ends = [
            (point.ci95.low, point.ci95.high) if point.ci95 else (point.value,) * 2 for point in line.points
        ]
        low, high = ([each[side] * factor for each in ends] for side in (0, 1))
        source = ColumnDataSource({
            "x": x, "y": y, "low": low, "high": high, "at": [dates[point.run] for point in line.points],
            "link": [links[point.run] for point in line.points],
            "arm": [line.arm] * len(x),
        })  # fmt: skip
        whiskers = plot.segment("x", "low", "x", "high", source=source, line_width=1, line_alpha=0.55)
        between = plot.line("x", "y", source=source, line_width=1.25, line_dash=dash)
        points = plot.scatter(
            "x", "y", source=source, size=7, marker=MARKERS[colour_of(index)], fill_alpha=0, line_width=1.5,
            name="points", nonselection_alpha=1.0,
        )  # fmt: skip
        drawn: list[DataRenderer] = [whiskers, between, points]
        if len(line.levels) > 1:
            drawn += self._levels(plot, line, factor)
        self.roles.lines.extend((renderer.id, index, None, number) for renderer in drawn)
        return drawn

    def _levels(self, plot: figure, line: TrendLine, factor: float) -> list[DataRenderer]:
        """Draw the median of each stretch as a broad line, and what begins something new as an upright one."""
        begins = [first for first, _, _ in line.levels]
        values = [value * factor for *_, value in line.levels]
        levels = ColumnDataSource({
            "x0": [b - 0.5 for b in begins], "x1": [last + 0.5 for _, last, _ in line.levels], "y": values,
        })  # fmt: skip
        steps = ColumnDataSource({"x": [b - 0.5 for b in begins[1:]], "y0": values[:-1], "y1": values[1:]})
        return [
            plot.segment("x0", "y", "x1", "y", source=levels, line_width=5, line_alpha=0.35),
            plot.segment("x", "y0", "x", "y1", source=steps, line_width=5, line_alpha=0.35),
            plot.vspan(x="x", source=steps, line_width=1.5, line_dash=[2, 2]),
        ]

    def _axis(self, plot: figure, dates: Sequence[str]) -> None:
        ticks = sorted({round(t) for t in np.linspace(0, len(dates) - 1, min(TICKS, len(dates)))})
        plot.xaxis.ticker = FixedTicker(ticks=ticks)
        plot.xaxis.major_label_overrides = {tick: dates[tick] for tick in ticks}

    def _tools(self, plot: figure, panel: TrendPanel, unit: str) -> None:
        points = [each for each in plot.renderers if isinstance(each, DataRenderer) and each.name == "points"]
        digits = "0,0.[00]"
        tips = [
            ("arm", "@arm"), ("run", "@at"), (panel.metric.heading.lower(), f"@y{{{digits}}} {unit}"),
            ("interval", f"@low{{{digits}}} to @high{{{digits}}} {unit}"),
        ]  # fmt: skip
        plot.add_tools(
            HoverTool(tooltips=tips, renderers=points),
            TapTool(renderers=points, callback=OpenURL(url="@link", same_tab=True)),
        )


def _dates(trend: Trend) -> list[str]:
    """Name each run by its day; by the hour, too, where a day has several."""
    begun = [run.summary.started for run in trend.runs]
    days = [at.strftime("%m-%d") for at in begun]
    return days if len({at.date() for at in begun}) == len(begun) else [f"{at:%m-%d %H:%M}" for at in begun]


def draw_trends(trends: Sequence[Trend], links: Sequence[Sequence[str]]) -> TrendCharts:
    """Draw every panel of every trend; `links` lead from the page to each of its runs."""
    drawing = _TrendDrawing()
    charts = tuple(drawing.trend(n, trend, links[n]) for n, trend in enumerate(trends))
    data = {
        "document": to_bokeh_json(drawing.plots.values()),
        "roots": {plot.id: element for element, plot in drawing.plots.items()},
        "roles": {name: getattr(drawing.roles, name) for name in Roles.__dataclass_fields__},
    }
    return TrendCharts(charts, data if drawing.plots else None)
