"""The pool-size curve drawn: who waits how long, and how many requests fail, over the connections that a pool may open.

▏╲      ┊knee  ┆ room at Postgres  ┆ rule       whiskers: 95 % intervals; upright lines: what is named above
▏ ╲__   ┊      ┆                   ┆
▏┄┄┄┄╲┄┄┊┄┄┄┄┄┄┆┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┆┄┄  tolerable
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bokeh.models import ColumnDataSource, CrosshairTool, FixedTicker, HoverTool, Range1d
from bokeh.models.annotations import Label, Span
from bokeh.models.renderers import DataRenderer
from bokeh.plotting import figure

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.sizing.advice import ceiling_size, rule_of_thumb_size
from brokenpipe.measure.sizing.curve import PoolSize, Sizing
from brokenpipe.plan.settings.postgres import RESERVED_CONNECTIONS
from brokenpipe.report.arm_styles import dash_of
from brokenpipe.report.charts import FONT, Roles, apply_style, empty_chart

WAIT, SHARE = "chart-size-wait", "chart-size-share"  # elements of the page
WAIT_LINE, TIMEOUT_LINE, REFUSED_LINE = 0, 1, 2  # colours and dashes, as of arms
_ROW_PX, _WAIT_PX, _SHARE_PX = 15, 250, 170
_NEVER_HIDDEN = (None, -1)  # no button of the page's legend is of these lines


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    """An upright line at so many connections."""

    text: str
    at: int
    dash: tuple[int, ...]


def reference_lines(findings: Findings, sizing: Sizing) -> tuple[ReferenceLine, ...]:
    """The knee, what Postgres has room for, and what the rules of thumb say, from left to right."""
    processes = sizing.curve[0].processes
    found = [
        ReferenceLine("rule: peak × 1.2", rule_of_thumb_size(sizing.peak, processes) * processes, (2, 2))
    ]
    if sizing.knee is not None:
        found.append(ReferenceLine("knee", sizing.knee.most, ()))
    if findings.max_connections is not None:
        most = findings.max_connections
        found.append(
            ReferenceLine("half of max_connections", ceiling_size(most, processes) * processes, (9, 3, 2, 3))
        )
        found.append(ReferenceLine("room at Postgres", most - RESERVED_CONNECTIONS, (9, 3)))
    return tuple(sorted(found, key=lambda mark: mark.at))


def draw_size_charts(findings: Findings, sizing: Sizing, roles: Roles) -> Mapping[str, figure]:
    """Draw both charts, by the element that they go into."""
    upright = reference_lines(findings, sizing)
    most = max(*(size.most for size in sizing.curve), *(mark.at for mark in upright))
    margin = most * 0.04
    x_range = Range1d(start=0, end=most + margin, bounds=(0, most + margin))
    highest = max(max(size.wait_p95_ms, size.ci95.high if size.ci95 else 0.0) for size in sizing.curve)
    top = max(highest, 2 * sizing.tolerable_ms)
    room = 1 - (len(upright) + 1) * _ROW_PX / _WAIT_PX  # for the names above
    waits = empty_chart(_WAIT_PX, x_range, Range1d(start=0, end=top / room))
    shares = empty_chart(
        _SHARE_PX, x_range, Range1d(start=0, end=105 * max(0.05, *_draw_failure_shares(sizing)))
    )
    _draw_wait_curve(waits, sizing, roles)
    _draw_failure_curves(shares, sizing, roles)
    for plot in (waits, shares):
        apply_style(plot, roles)
        plot.xaxis.ticker = FixedTicker(ticks=sorted({size.most for size in sizing.curve}))
        for mark in upright:
            span = Span(
                dimension="height",
                location=mark.at,
                line_width=1.5,
                line_dash=list(mark.dash),
                line_alpha=0.7,
            )
            plot.add_layout(span)
            roles.spans.append(span.id)
    for label in _draw_line_labels(upright, most):
        waits.add_layout(label)
        roles.marks.append(label.id)
    return {WAIT: waits, SHARE: shares}


def _draw_failure_shares(sizing: Sizing) -> Iterator[float]:
    for size in sizing.curve:
        yield size.timeout_share
        yield size.refused_share


def _draw_line_labels(upright: tuple[ReferenceLine, ...], most: int) -> Iterator[Label]:
    """Name each line, one above the other, so that none covers its neighbour; from the middle on to its left."""
    for n, mark in enumerate(upright):
        left = mark.at > most * 0.6
        yield Label(
            x=mark.at, y=_WAIT_PX - 40 - n * _ROW_PX, y_units="screen", text=f"{mark.text}: {mark.at}",
            x_offset=-5 if left else 5, text_align="right" if left else "left", text_baseline="middle",
            text_font=FONT, text_font_size="12px",
        )  # fmt: skip


def _draw_wait_curve(plot: figure, sizing: Sizing, roles: Roles) -> None:
    curve = sizing.curve
    ends = [(size.ci95.low, size.ci95.high) if size.ci95 else (size.wait_p95_ms,) * 2 for size in curve]
    source = ColumnDataSource({
        "x": [size.most for size in curve], "y": [size.wait_p95_ms for size in curve],
        "low": [low for low, _ in ends], "high": [high for _, high in ends], "arm": [size.arm for size in curve],
    })  # fmt: skip
    whiskers = plot.segment("x", "low", "x", "high", source=source, line_width=1.5, line_alpha=0.6)
    drawn = [whiskers, *_line(plot, source, WAIT_LINE)]
    roles.lines.extend((each.id, WAIT_LINE, *_NEVER_HIDDEN) for each in drawn)
    tolerable = Span(
        dimension="width", location=sizing.tolerable_ms, line_width=1, line_dash=[2, 3], line_alpha=0.8
    )
    plot.add_layout(tolerable)
    roles.spans.append(tolerable.id)
    tips = [("arm", "@arm"), ("wait, p95", "@y{0,0} ms"), ("interval", "@low{0,0} to @high{0,0} ms")]
    _point(plot, drawn, tips, roles)


def _draw_failure_curves(plot: figure, sizing: Sizing, roles: Roles) -> None:
    drawn: list[DataRenderer] = []
    for index, what in ((TIMEOUT_LINE, "waited in vain"), (REFUSED_LINE, "refused, 53300")):
        source = ColumnDataSource({
            "x": [size.most for size in sizing.curve],
            "y": [100 * _share(size, index) for size in sizing.curve],
            "arm": [size.arm for size in sizing.curve], "what": [what for _ in sizing.curve],
        })  # fmt: skip
        line = _line(plot, source, index)
        roles.lines.extend((each.id, index, *_NEVER_HIDDEN) for each in line)
        drawn += line
    _point(plot, drawn, [("arm", "@arm"), ("@what", "@y{0.[0]} %")], roles)


def _share(size: PoolSize, index: int) -> float:
    return size.refused_share if index == REFUSED_LINE else size.timeout_share


def _line(plot: figure, source: ColumnDataSource, index: int) -> list[DataRenderer]:
    return [
        plot.line("x", "y", source=source, line_width=2, line_dash=list(dash_of(index)), line_join="round"),
        plot.scatter("x", "y", source=source, size=7, fill_alpha=0, line_width=1.75, name="points"),
    ]


def _point(plot: figure, drawn: list[DataRenderer], tips: list[tuple[str, str]], roles: Roles) -> None:
    span = Span(dimension="height", line_width=1, line_alpha=0.6, line_dash=[3, 3])
    roles.spans.append(span.id)
    points = [each for each in drawn if each.name == "points"]
    plot.add_tools(HoverTool(tooltips=tips, renderers=points), CrosshairTool(overlay=span))
