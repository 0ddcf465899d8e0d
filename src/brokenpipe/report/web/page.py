"""The page that stands beside Locust's own while somebody breaks the wire by hand: arms, faults, report.

Made once, before anything runs: what changes it asks its own server for, twice a second. Forms come from the faults'
own parameters, charts are Bokeh's, and everything is in the one file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bokeh.embed import components
from bokeh.models import (
    AdaptiveTicker,
    AjaxDataSource,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    NumeralTickFormatter,
)
from bokeh.plotting import figure
from markupsafe import Markup

from brokenpipe.faults import fault_kinds
from brokenpipe.plan.plan import Plan
from brokenpipe.report.arm_styles import COLOURS, dash_of
from brokenpipe.report.template import bokeh_script, read_template_file, render, to_inline_json

EVERY_MS = 1000
SHOWN_S = 180.0
PALETTE = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#666666")
assert len(PALETTE) == COLOURS

_CHARTS = (
    ("rate", "Broken-pipe rate", "% of the requests of the last 10 s", "0.[0]"),
    ("p95", "p95", "ms, of successful requests of the last 10 s", "0"),
    ("out", "Pool: connections out", "as the witness sees them", "0"),
    ("postgres", "Postgres connections", "past the proxy, from pg_stat_activity", "0"),
    ("masked", "Masked disconnects", "since the start", "0"),
)


def web_page(plan: Plan) -> str:
    """Render it for the arms and the timeline of this plan."""
    arms = tuple(plan.scenario.arms)
    script, divs = components({key: _chart(key, form, arms) for key, _, _, form in _CHARTS})
    return render(
        "web/web.html.j2",
        title=plan.scenario.title,
        own_style=Markup(read_template_file("web/web.css")),  # noqa: S704 - our own files
        own_script=Markup(read_template_file("web/web.js")),  # noqa: S704
        bokeh=bokeh_script(),
        document=Markup(script),  # noqa: S704 - Bokeh's, of names that NAME allows
        charts=[(heading, unit, Markup(divs[key])) for key, heading, unit, _ in _CHARTS],  # noqa: S704
        arms=[(arm, PALETTE[n % COLOURS]) for n, arm in enumerate(arms)],
        faults=to_inline_json(list(fault_forms())),
    )


def _chart(key: str, form: str, arms: tuple[str, ...]) -> Any:
    points = AjaxDataSource(
        data_url="/brokenpipe/series",
        method="GET",
        mode="replace",
        polling_interval=EVERY_MS,
        if_modified=False,
    )
    names = ["t", *(f"{key}_{n}" for n in range(len(arms)))]
    points.data = {name: [] for name in names}
    bands = ColumnDataSource({"x0": [], "x1": [], "label": []}, name="fault_bands")
    across = DataRange1d(follow="end", follow_interval=SHOWN_S, range_padding=0.02)
    up = DataRange1d(start=0, range_padding=0.15, only_visible=True)
    chart = figure(
        height=190,
        sizing_mode="stretch_width",
        toolbar_location=None,
        x_range=across,
        y_range=up,
        x_axis_label="seconds since the start",
        tools="",
        output_backend="canvas",
    )
    chart.yaxis.formatter = NumeralTickFormatter(format=form)
    if form == "0":  # no two ticks with the same number
        chart.yaxis.ticker = AdaptiveTicker(min_interval=1, num_minor_ticks=0)
    strips = chart.vstrip("x0", "x1", source=bands, fill_color="#c0392b", fill_alpha=0.14, line_alpha=0)
    for n, arm in enumerate(arms):
        chart.line(
            "t",
            f"{key}_{n}",
            source=points,
            line_width=2,
            line_color=PALETTE[n % COLOURS],
            line_dash=list(dash_of(n)) or "solid",
            name=arm,
        )
    # The bands are no part of what the axes must show.
    across.renderers = up.renderers = [each for each in chart.renderers if each is not strips]
    chart.add_tools(HoverTool(renderers=[strips], tooltips=[("fault", "@label")]))
    return chart


def fault_forms() -> Iterator[dict[str, object]]:
    """Every fault with its parameters, as a form needs them."""
    for kind in fault_kinds():
        yield {
            "name": kind.fault_name(),
            "description": kind.summary(),
            "momentary": kind.momentary,
            "fields": [{"key": key, **_field(schema)} for key, schema in kind.parameter_schema().items()],
        }


def _field(schema: dict[str, Any]) -> dict[str, object]:
    """A number with its limits, or a choice, with the value that the form begins with."""
    kinds = schema.get("anyOf", [schema])
    kind = next(each for each in kinds if each.get("type") != "null")
    return {
        "choices": kind.get("enum"),
        "least": kind.get("minimum"),
        "most": kind.get("maximum"),
        "default": schema.get("default", next(iter(schema.get("examples", ())), None)),
        "required": schema["required"],
        "hint": schema.get("description", ""),
    }
