"""The timelines of several runs over each other, a pair of charts for each phase, with the fault at 0.

A line's colour is its arm, as in the report of each run; its dashes are the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import BoxZoomTool, ColumnDataSource, CrosshairTool, DataRange1d, HoverTool, Range1d
from bokeh.models.annotations import Span
from bokeh.models.renderers import DataRenderer
from bokeh.plotting import figure

from brokenpipe.measure.compare.runs import RunsCompared
from brokenpipe.measure.model.findings import PhaseFinding
from brokenpipe.measure.model.series import Series
from brokenpipe.measure.time_series.fault_aligned import FaultAlignedSeries
from brokenpipe.report import texts
from brokenpipe.report.charts import Roles, apply_style, empty_chart, to_bokeh_json

DASHES: tuple[tuple[int, ...], ...] = ((5, 4), (), (2, 2), (9, 3, 2, 3), (14, 4))
HEIGHT_PX = 150


def dash_of_run(index: int) -> tuple[int, ...]:
    """Give a run's dashes: the base is broken, the one after it whole."""
    return DASHES[index % len(DASHES)]


@dataclass(frozen=True, slots=True)
class PhaseCharts:
    """A phase: what zero is, and where its charts go (element id → heading and unit)."""

    name: str
    fault: str
    zero: str
    charts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class ComparisonCharts:
    """All charts: what the page lays out, and what `charts.js` draws."""

    phases: tuple[PhaseCharts, ...]
    data: Mapping[str, object] | None  # None: nothing was recorded


class _ComparisonDrawing:
    def __init__(self, compared: RunsCompared, arms: Sequence[str]) -> None:
        self.compared = compared
        self.arms = arms
        self.roles = Roles()
        self.plots: dict[str, figure] = {}

    def phase(self, number: int, name: str) -> PhaseCharts | None:
        lines = [run.aligned_series.get(name) for run in self.compared.runs]
        found = [each for each in lines if each is not None and each.failed_share]
        if not found:
            return None
        phase = next(each for each in self.compared.base.findings.phases if each.name == name)
        ends = _time_span(found)
        x_range = Range1d(start=ends[0], end=ends[1], bounds=ends, min_interval=0.2)
        span = Span(dimension="height", line_width=1, line_alpha=0.6, line_dash=[3, 3])
        self.roles.spans.append(span.id)
        charts = []
        for key, heading, unit, factor in (
            ("failed", "Failed requests", "%", 100.0),
            ("p95", "Latency, 95th percentile", "ms", 1.0),
        ):
            element = f"chart-{number}-{key}"
            y_range = DataRange1d(start=0, min_interval=1.0)
            plot = self.plots[element] = empty_chart(HEIGHT_PX, x_range, y_range)
            self._mark(plot, phase, found[0], ends)
            drawn = self._lines(plot, [_series(each, key) for each in lines], factor)
            y_range.renderers = [*drawn]
            apply_style(plot, self.roles)
            self._tools(plot, drawn, unit, span)
            charts.append((element, heading, unit))
        return PhaseCharts(name, texts.describe_fault(phase), _describe_zero(phase, found[0]), tuple(charts))

    def _mark(
        self, plot: figure, phase: PhaseFinding, aligned: FaultAlignedSeries, ends: tuple[float, float]
    ) -> None:
        """Show where the fault is: a line where it strikes, a shade while it is held."""
        if aligned.struck:
            zero = plot.vspan(x="x", source=ColumnDataSource({"x": [0.0]}), line_width=1.5, level="underlay")
            self.roles.strikes.append(zero.glyph.id)
        elif phase.fault:
            source = ColumnDataSource({"x0": [0.0], "x1": [ends[1]]})
            band = plot.vstrip(x0="x0", x1="x1", source=source, line_color=None, level="underlay")
            self.roles.bands.append(band.glyph.id)

    def _lines(
        self, plot: figure, series_of: Sequence[Mapping[str, Series]], factor: float
    ) -> list[DataRenderer]:
        drawn: list[DataRenderer] = []
        for run, by_arm in enumerate(series_of):
            for index, arm in enumerate(self.arms):
                if arm not in by_arm:
                    continue
                values = [np.nan if v is None else v * factor for v in by_arm[arm].values]
                source = ColumnDataSource(
                    {"x": np.array(by_arm[arm].at_s, np.float32), "y": np.array(values, np.float32)}
                )
                line = plot.line(
                    "x", "y", source=source, name=f"{arm}, {run_name(run, len(series_of))}",
                    line_width=1.4 if run == 0 else 2, line_dash=list(dash_of_run(run)), line_join="round",
                )  # fmt: skip
                self.roles.lines.append((line.id, index, run))
                drawn.append(line)
        return drawn

    def _tools(self, plot: figure, drawn: list[DataRenderer], unit: str, span: Span) -> None:
        zoom = BoxZoomTool(dimensions="width")
        tips = [("arm", "$name"), ("value", "@y{0,0.[00]} " + unit), ("at", "@x{0.00} s")]
        hover = HoverTool(tooltips=tips, renderers=drawn, line_policy="nearest", attachment="horizontal")
        plot.add_tools(zoom, hover, CrosshairTool(overlay=span))
        self.roles.zooms.append(zoom.id)


def run_name(index: int, runs: int) -> str:
    """Call the runs "base" and "new", or "new 1", "new 2" and so on where there are more than two."""
    if index == 0:
        return "base"
    return "new" if runs == 2 else f"new {index}"


def _series(aligned: FaultAlignedSeries | None, key: str) -> Mapping[str, Series]:
    if aligned is None:
        return {}
    return aligned.failed_share if key == "failed" else aligned.p95_ms


def _time_span(found: Sequence[FaultAlignedSeries]) -> tuple[float, float]:
    every = [at for each in found for series in each.failed_share.values() for at in series.at_s]
    margin = max(max(every) - min(every), 0.1) * 0.02
    return min(every) - margin, max(every) + margin


def _describe_zero(phase: PhaseFinding, aligned: FaultAlignedSeries) -> str:
    """Say what zero is."""
    if not aligned.struck:
        return "0 is the begin of the phase"
    what = "users act again" if phase.burst_s else "the strike"
    return f"0 is {what}; all {aligned.struck} episodes lie one above the other"


def draw_comparison(compared: RunsCompared, arms: Sequence[str], phases: Sequence[str]) -> ComparisonCharts:
    """Draw a pair of charts for each of these phases; those without a request are left out."""
    drawing = _ComparisonDrawing(compared, arms)
    found = [each for n, name in enumerate(phases) if (each := drawing.phase(n, name)) is not None]
    roles = {name: getattr(drawing.roles, name) for name in Roles.__dataclass_fields__}
    data = {
        "document": to_bokeh_json(drawing.plots.values()),
        "roots": {plot.id: element for element, plot in drawing.plots.items()},
        "roles": roles,
    }
    return ComparisonCharts(tuple(found), data if found else None)
