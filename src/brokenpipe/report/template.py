"""What every page of ours is made of: one file, opened from disk, that asks the network for nothing.

Three locks on text that others chose (arm names, exceptions): Jinja escapes every value, the charts' JSON
carries no `<`, and the page's own policy names the hash of each script that may run and allows no request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from brokenpipe import formatting
from brokenpipe.report import texts
from brokenpipe.report.arm_styles import colour_of, dash_of

_FILTERS = (
    formatting.percent,
    formatting.percent_interval,
    formatting.amount,
    formatting.milliseconds,
    formatting.added_ms,
    formatting.milliseconds_interval,
    formatting.seconds,
    formatting.count,
    formatting.plural,
    formatting.megabytes,
    formatting.cores,
    formatting.points,
    formatting.points_interval,
    formatting.chance,
    formatting.listed,
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the page and the hash by which the page's policy admits it."""

    text: Markup
    source: str

    @classmethod
    def of(cls, text: str) -> Script:
        """Wrap a script that we or Bokeh wrote. Raises ValueError if it has the end of its own element in it."""
        if "</script" in text.lower():
            raise ValueError("a script with an end tag inside would end too early")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        return cls(Markup(text), f"'sha256-{digest}'")  # noqa: S704 - never text that a run produced


def read_template_file(name: str) -> str:
    """One of our own files beside the templates."""
    return resources.files("brokenpipe.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _chart_scripts() -> tuple[Script, ...]:
    """Give BokehJS without its widgets, tables and WebGL parts (2.7 MB that nothing here uses), and ours.

    Bokeh is imported here: pages without charts do without it.
    """
    from bokeh.resources import Resources

    bokeh = Resources(mode="inline", components=["bokeh"]).js_raw[0]
    return Script.of(bokeh), Script.of(read_template_file("charts.js"))


def _scripts(charts: bool) -> tuple[Script, ...]:
    """All scripts of a page."""
    return *(_chart_scripts() if charts else ()), Script.of(read_template_file("page.js"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("brokenpipe.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.filters["data"] = to_inline_json
    return environment


def prepare() -> None:
    """Read and compile ahead what the page of a run consists of."""
    _chart_scripts()
    for name in _environment().list_templates(extensions=["j2"]):
        if not name.startswith("web/"):
            _environment().get_template(name)


def to_inline_json(value: object) -> Markup:
    """Write JSON that is harmless inside a `<script type="application/json">`, whatever its strings say."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character that HTML knows is left


def bokeh_script() -> Markup:
    """BokehJS alone, for a page that a server of ours sends."""
    return _chart_scripts()[0].text


def render(template: str, **values: object) -> str:
    """A page from its template, with the styles, scripts and small words that all of them share.

    `drawn` among the values: its charts.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(read_template_file("style.css")),  # noqa: S704 - our own file
            scripts=_scripts(charts=bool(values.get("drawn"))),
            words=texts,
            mark=texts.MARK,
            colour_of=colour_of,
            dash_of=dash_of,
            **values,
        )
    )
