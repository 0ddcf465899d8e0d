"""The timelines: one Bokeh document whose charts share one time axis.

What a reader can do with them is in charts.js; what the two share is `Charts.roles`: which model is drawn
in which colour, so that the page can follow a dark scheme, hide an arm everywhere, or name the phases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from bokeh.document import Document
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    ColumnDataSource,
    CrosshairTool,
    DataRange1d,
    HoverTool,
    NumeralTickFormatter,
    Range,
    Range1d,
)
from bokeh.models.annotations import Label, Span
from bokeh.models.renderers import DataRenderer
from bokeh.plotting import figure

from brokenpipe.measure.model.findings import Findings, PhaseFinding
from brokenpipe.measure.model.series import Series
from brokenpipe.report import texts
from brokenpipe.report.arm_styles import dash_of

POINTS = 700  # for each line: about two for every pixel of a narrow chart
LEFT_PX, RIGHT_PX = 52, 10  # charts.js measures with the same two
FONT = "system-ui, sans-serif"


@dataclass(frozen=True, slots=True)
class TimelineChart:
    """One chart: where it goes in the page, and its heading."""

    key: str
    heading: str
    unit: str
    note: str


@dataclass
class Roles:
    """Model ids by what they are drawn as. A line is of an arm, and of a run or a group where there are several."""

    lines: list[tuple[str, int] | tuple[str, int, int | None] | tuple[str, int, int | None, int]] = field(
        default_factory=list
    )
    fills: list[tuple[str, int]] = field(
        default_factory=list
    )  # bars, and the colours that they have, as of arms
    axes: list[str] = field(default_factory=list)
    grids: list[str] = field(default_factory=list)
    bands: list[str] = field(default_factory=list)
    bursts: list[str] = field(default_factory=list)
    strikes: list[str] = field(default_factory=list)
    labels: list[dict[str, object]] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)  # names inside a chart that stay where they are
    zooms: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Charts:
    """The document as JSON, and where each of its charts goes. `shown` is empty when nothing was recorded."""

    shown: tuple[TimelineChart, ...]
    document: object
    roots: Mapping[str, str]  # model id → element id
    range_id: str
    start_s: float
    end_s: float
    roles: Mapping[str, object]


def downsample(series: Series, limit: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Cut a series to at most `limit` points: of neighbours the largest stays, so that no peak is lost."""
    at = np.asarray(series.at_s, dtype=np.float32)
    values = np.array([np.nan if v is None else v for v in series.values], dtype=np.float32)
    step = -(-len(at) // limit)
    if step <= 1:
        return at, values
    padded = np.pad(values, (0, -len(values) % step), constant_values=np.nan).reshape(-1, step)
    known = ~np.isnan(padded)
    peaks = np.where(known.any(axis=1), np.where(known, padded, -np.inf).max(axis=1), np.nan)
    return at[::step], peaks.astype(np.float32)


def split_at_gaps(at: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part a line where bins are missing, as while users pause; the last bin before keeps its width."""
    steps = np.diff(at)
    if not len(steps):
        return at, values
    step = np.median(steps)
    ends = np.flatnonzero(steps > 2.5 * step)
    where = np.repeat(ends + 1, 2)
    times = np.stack([at[ends] + step, at[ends] + step], axis=1).ravel()
    gaps = np.stack([values[ends], np.full(len(ends), np.nan)], axis=1).ravel()
    return np.insert(at, where, times), np.insert(values, where, gaps)


def _recorded_charts(findings: Findings) -> list[tuple[TimelineChart, Mapping[str, Series], float]]:
    lines = findings.timelines
    of_pool = "seen by the witness in the target"
    every = [
        (TimelineChart("failed", "Failed requests", "%", "share of the requests started in each bin"),
         lines.failed_share, 100.0),
        (TimelineChart("p95", "Latency, 95th percentile", "ms", "successful requests"), lines.p95_ms, 1.0),
        (TimelineChart("throughput", "Requests started", "per second", ""), lines.requests_per_s, 1.0),
        (TimelineChart("out", "Pool: connections in use", "", of_pool), lines.pool_out, 1.0),
        (TimelineChart("idle", "Pool: idle connections", "", of_pool), lines.pool_idle, 1.0),
        (TimelineChart("postgres", "Connections at Postgres", "", "counted in pg_stat_activity"),
         lines.postgres_connections, 1.0),
    ]  # fmt: skip
    return [
        (chart, series, factor) for chart, series, factor in every if any(s.at_s for s in series.values())
    ]


def empty_chart(height: int, x_range: Range, y_range: Range) -> figure:
    """Make an empty chart that looks like all of ours. Its colours are the page's, by the roles of its models."""
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=y_range,
        tools="",
        toolbar_location=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=LEFT_PX,
        min_border_right=RIGHT_PX,
        min_border_top=6,
        min_border_bottom=22,
    )
    plot.xgrid.grid_line_color = None
    return plot


def apply_style(plot: figure, roles: Roles) -> None:
    """Give a chart few ticks and our font, and note who is painted."""
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=4)
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    plot.axis.minor_tick_line_color = None
    plot.axis.major_label_text_font = FONT
    roles.axes.extend(axis.id for axis in plot.axis)
    roles.grids.extend(grid.id for grid in plot.ygrid)


class _TimelineDrawing:
    """Draws charts, noting every model's role."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.arms = tuple(findings.arms)
        self.plots: dict[str, figure] = {}  # element id → chart
        self.roles = Roles()
        start = min((phase.start_s for phase in findings.phases), default=0.0)
        end = max((phase.end_s for phase in findings.phases), default=findings.duration_s)
        margin = max(end - start, 1.0) * 0.01
        self.ends = (start - margin, end + margin)
        self.x_range = Range1d(start=self.ends[0], end=self.ends[1], bounds=self.ends, min_interval=0.5)
        self.span = Span(dimension="height", line_width=1, line_alpha=0.6, line_dash=[3, 3])
        self.roles.spans.append(self.span.id)
        faulty = [phase for phase in findings.phases if phase.fault]
        played = [stretch for phase in faulty for stretch in phase.played_s]
        self.bands = ColumnDataSource({"x0": [a for a, _ in played], "x1": [b for _, b in played]})
        bursts = [burst for phase in findings.phases for burst in phase.burst_s]
        self.bursts = ColumnDataSource({"x0": [a for a, _ in bursts], "x1": [b for _, b in bursts]})
        self.strikes = ColumnDataSource({"x": [at for phase in faulty for at in phase.strikes_s]})

    def _figure(self, element: str, height: int, y_range: Range) -> figure:
        plot = empty_chart(height, self.x_range, y_range)
        self._shade(plot)
        self.plots[element] = plot
        return plot

    def _shade(self, plot: figure) -> None:
        bands = plot.vstrip(x0="x0", x1="x1", source=self.bands, line_color=None, level="underlay")
        bursts = plot.vstrip(x0="x0", x1="x1", source=self.bursts, line_color=None, level="underlay")
        self.roles.bursts.append(bursts.glyph.id)
        strikes = plot.vspan(x="x", source=self.strikes, line_width=1, level="underlay")
        self.roles.bands.append(bands.glyph.id)
        self.roles.strikes.append(strikes.glyph.id)

    def names(self, element: str) -> None:
        """Draw the slim strip that names the phases above the charts."""
        plot = self._figure(element, 26, Range1d(start=0, end=1))
        plot.min_border_top = plot.min_border_bottom = 0
        plot.axis.visible = False
        plot.grid.visible = False
        for number, phase in enumerate(self.findings.phases, start=1):
            for start_s, end_s in phase.played_s:
                plot.add_layout(self._name(number, phase, start_s, end_s))

    def _name(self, number: int, phase: PhaseFinding, start_s: float, end_s: float) -> Label:
        middle = (start_s + end_s) / 2
        label = Label(
            x=middle, y=0.5, text=str(number), text_align="center", text_baseline="middle",
            text_font=FONT, text_font_size="12px",
        )  # fmt: skip
        fault = texts.describe_fault(phase)
        names = [f"{phase.name} · {fault}" if phase.fault and fault else phase.name, phase.name, str(number)]
        ends = [start_s, end_s]
        self.roles.labels.append({"id": label.id, "texts": names, "ends": ends})
        return label

    def chart(self, chart: TimelineChart, series: Mapping[str, Series], factor: float) -> None:
        """Draw one chart with a line for each arm, from 0 upwards."""
        y_range = DataRange1d(start=0, min_interval=1.0)
        plot = self._figure(f"chart-{chart.key}", 168, y_range)
        lines = [
            self._line(plot, index, arm, series[arm], factor)
            for index, arm in enumerate(self.arms)
            if arm in series
        ]
        y_range.renderers = [*lines]
        apply_style(plot, self.roles)
        zoom = BoxZoomTool(dimensions="width")
        plot.add_tools(zoom, self._hover(lines, chart.unit), CrosshairTool(overlay=self.span))
        self.roles.zooms.append(zoom.id)

    def _line(self, plot: figure, index: int, arm: str, series: Series, factor: float) -> DataRenderer:
        at, values = split_at_gaps(*downsample(series))
        line = plot.line(
            "x",
            "y",
            source=ColumnDataSource({"x": at, "y": values * np.float32(factor)}),
            name=arm,
            line_width=1.75,
            line_dash=list(dash_of(index)),
            line_join="round",
        )
        self.roles.lines.append((line.id, index))
        return line

    def _hover(self, lines: list[DataRenderer], unit: str) -> HoverTool:
        value = "@y{0,0.[00]}" + (f" {unit}" if unit else "")
        return HoverTool(
            tooltips=[("arm", "$name"), ("value", value), ("at", "@x{0.0} s")],
            renderers=lines,
            line_policy="nearest",
            attachment="horizontal",
        )


def draw_timelines(findings: Findings, also: Callable[[Roles], Mapping[str, figure]] | None = None) -> Charts:
    """Draw every chart for which something was recorded; those without a series are left out.

    `also` draws what has another axis, by the element that it goes into.
    """
    drawing = _TimelineDrawing(findings)
    chosen = _recorded_charts(findings)
    if chosen:
        drawing.names("phase-names")
    for chart, series, factor in chosen:
        drawing.chart(chart, series, factor)
    roles = drawing.roles
    if also is not None:
        drawing.plots.update(also(roles))
    return Charts(
        shown=tuple(chart for chart, _, _ in chosen),
        document=to_bokeh_json(drawing.plots.values()),
        roots={plot.id: element for element, plot in drawing.plots.items()},
        range_id=drawing.x_range.id,
        start_s=drawing.ends[0],
        end_s=drawing.ends[1],
        roles={name: getattr(roles, name) for name in Roles.__dataclass_fields__},
    )


def to_bokeh_json(plots: Iterable[figure]) -> object:
    """Plots that are complete, as the page's script reads them."""
    document = Document()
    with document.models.freeze():  # else each plot has it walk the models of all that came before
        for plot in plots:
            document.add_root(plot)
    return document.to_json(deferred=False)
