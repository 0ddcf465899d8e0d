"""Where the time of requests went, drawn: a bar for each arm, a chart for each phase.

plain     ▇▇▇▇▒▒▒▒▒▒▒▒▒
pre_ping  ▇▇▇▇▓▒▒▒▒▒▒▒▒▒     milliseconds of a mean request, its parts always in the same order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bokeh.models import BasicTicker, ColumnDataSource, FactorRange, HoverTool, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.request_time import PARTS, TimeBreakdown
from brokenpipe.report.charts import FONT, LEFT_PX, Roles, empty_chart
from brokenpipe.report.run.request_time import HEADS, TimePhase

PART_COLOURS = dict(zip(PARTS, (1, 5, 3, 0, 6, 7), strict=True))  # numbers, as of arms
_HATCHES = {"pool": "/", "ping": ".", "loop": "x"}  # so that colour is not the only difference of neighbours
_BAR_PX, _AXIS_PX = 22, 34
_LONGEST_NAME = 20  # characters beside a bar; a name that is longer is cut


def draw_time_charts(findings: Findings, phases: tuple[TimePhase, ...], roles: Roles) -> Mapping[str, figure]:
    """Draw the charts, by the element that each goes into."""
    return {phase.element: _draw(findings, phase, roles) for phase in phases}


def short_names(arms: tuple[str, ...]) -> tuple[str, ...]:
    """The arms' names as they stand beside the bars: cut, and still different."""
    cut = [arm if len(arm) <= _LONGEST_NAME else arm[: _LONGEST_NAME - 1] + "…" for arm in arms]
    return tuple(f"{name} {n}" if cut.count(name) > 1 else name for n, name in enumerate(cut, start=1))


def _draw(findings: Findings, phase: TimePhase, roles: Roles) -> figure:
    arms = tuple(row.arm for row in phase.rows)
    times = [findings.times[arm, phase.name] for arm in arms]
    names = short_names(arms)
    longest_ms = max(1.0, *(time.total_ms for time in times))
    plot = empty_chart(
        _AXIS_PX + _BAR_PX * len(arms),
        Range1d(start=0, end=1.02 * longest_ms),
        FactorRange(factors=list(reversed(names))),
    )
    plot.min_border_left = max(LEFT_PX, 7 * max(map(len, names)) + 14)
    source = {name: [ms or 0.0 for ms in values] for name, values in _columns(times).items()}
    _draw_bars(plot, ColumnDataSource({"arm": list(names), **source}), roles)
    _style(plot, roles)
    return plot


def _columns(times: Sequence[TimeBreakdown]) -> dict[str, list[float | None]]:
    return {name: [dict(time.parts())[name] for time in times] for name in PARTS}


def _draw_bars(plot: figure, source: ColumnDataSource, roles: Roles) -> None:
    bars = plot.hbar_stack(list(PARTS), y="arm", height=0.66, source=source, line_color=None)
    for name, bar in zip(PARTS, bars, strict=True):
        roles.fills.append((bar.id, PART_COLOURS[name]))
        if name in _HATCHES:
            bar.glyph.hatch_pattern = _HATCHES[name]
            bar.glyph.hatch_color, bar.glyph.hatch_alpha, bar.glyph.hatch_scale = "white", 0.55, 7.0
    tips = [(head.lower(), f"@{name}{{0,0.[0]}} ms") for name, head in zip(PARTS, HEADS[1:], strict=True)]
    plot.add_tools(HoverTool(tooltips=[("arm", "@arm"), *tips], renderers=[*bars]))


def _style(plot: figure, roles: Roles) -> None:
    plot.ygrid.grid_line_color = None
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=5)
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    plot.axis.minor_tick_line_color = None
    plot.axis.major_label_text_font = FONT
    plot.yaxis.major_tick_line_color = None
    roles.axes.extend(axis.id for axis in plot.axis)
