"""`advise` in the terminal: the measured curve, the knee, what rules of thumb say, and the settings to use."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brokenpipe import formatting
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.sizing.advice import Advice, ServiceDemand
from brokenpipe.measure.sizing.curve import NoSize, Sizing, Sufficiency
from brokenpipe.report import texts
from brokenpipe.report.run import pool_settings
from brokenpipe.report.run import sizing as curve

_WITHOUT_SIZE = {
    NoSize.NESTED: "No size is enough as long as requests ask for a connection while they hold one.",
    NoSize.LOST: "No size is enough as long as connections are not given back.",
    NoSize.ELSEWHERE: "Every size that was tried is enough, and none makes a request faster: they wait elsewhere.",
}
_STYLE = {Sufficiency.TOO_SMALL: "red", Sufficiency.UNDECIDED: "yellow", Sufficiency.SUFFICIENT: "green"}
_MARK = {True: "✓", False: "✗"}
_INDENT = (0, 0, 0, 2)
_HEADS = (
    "arm",
    "pool",
    "wait p95",
    "95 % interval",
    "in vain",
    "53300",
    "answered",
    "in use",
    "",
)  # they fit into 80
_REFUSED = _HEADS.index("53300")


def curve_lines(findings: Findings, sizing: Sizing, run: str) -> Iterator[RenderableType]:
    """The curve and its knee. "53300" has a column if Postgres refused anybody."""
    yield Text(texts.to_one_line(findings.question), style="bold")
    yield Text(formatting.plain(f"{curve.describe_load(findings, sizing)} ({run})"))
    yield Text()
    table = Table.grid(padding=(0, 1, 0, 0))
    shown = [n for n in range(len(_HEADS)) if n != _REFUSED or any(size.refused for size in sizing.sizes)]
    for n in shown:
        table.add_column(justify="left" if _HEADS[n] in {"arm", ""} else "right")
    table.add_row(*(Text(_HEADS[n], style="dim") for n in shown))
    for row in curve.size_rows(sizing):
        values = [Text(formatting.plain(text)) for text in (row.arm, *row.texts[: len(_HEADS) - 2])]
        values[2].stylize(_STYLE[row.room])
        note = Text("← knee", style="bold") if row.is_knee else Text(row.note, style="dim")
        table.add_row(*((*values, note)[n] for n in shown))
    yield Padding(table, _INDENT)
    yield Text()
    yield Text(formatting.plain(f"{curve.knee_sentence(sizing)} ({run})"))
    for doubt in sizing.doubts:
        yield Text(
            formatting.plain(f"In doubt: {texts.to_one_line(doubt.text)}. {doubt.remedy}"), style="yellow"
        )


def rule_lines(findings: Findings, sizing: Sizing, run: str) -> Iterator[RenderableType]:
    """What rules of thumb say for the run's own numbers; nothing without a knee."""
    rules = curve.check_rules(findings, sizing)
    if not rules:
        return
    yield Text()
    yield Text(f"Do rules of thumb agree with it? ({run})", style="bold")
    for rule in rules:
        yield Text(formatting.plain(f"  {_MARK[rule.agrees]} {rule.name}"))
        yield Text(formatting.plain(f"      says {rule.says}; measured: {rule.measured}"))


def settings_lines(findings: Findings, sizing: Sizing, given: Advice, run: str) -> Iterator[RenderableType]:
    """The pool's settings for somebody's numbers."""
    yield Text()
    how = (
        "measured"
        if given.measured
        else "scaled from what was measured, as arrivals pile up: not measured itself"
    )
    yield Text(formatting.plain(f"For {curve.describe_workload(given.demand)} ({how}; {run})"), style="bold")
    if given.fits is False:
        yield from _limit_warning(given)
        return
    yield Padding(Text(settings_code(findings, sizing, given)), _INDENT)
    yield Text(
        "All but the size is as that arm had it. Which tests of connections to switch on: `brokenpipe run default`."
    )
    yield Text(_total(given))
    if not given.measured and findings.arrivals_per_s is None:
        yield Text(
            "Users of this run waited for answers before they asked again: how arrivals pile up was not measured. "
            "For a service that anybody may ask, give the scenario arrivals_per_s.",
            style="yellow",
        )


def undecided_lines(sizing: Sizing, asked: ServiceDemand | None, run: str) -> Iterator[RenderableType]:
    """What can be said for somebody's numbers by a run that shows no size to be enough. None: they are incomplete."""
    yield Text()
    known = "these numbers" if asked is None else curve.describe_workload(asked)
    yield Text(formatting.plain(f"For {known}: no size follows ({run})"), style="bold")
    yield Text(_open_question(sizing))
    if asked is None:
        yield Text("Say --peak-per-s and --hold-ms: a lower bound follows from them alone.")
    else:
        yield Text(formatting.plain(_lower_bound(asked)))
    yield Text(f"What to do: {_next_run(sizing)}", style="yellow")


def _open_question(sizing: Sizing) -> str:
    if sizing.no_size is not None:
        return _WITHOUT_SIZE[sizing.no_size]
    return "Undecided: which size is enough. The run has none that is known to be, so there is nothing to scale from."


def _lower_bound(asked: ServiceDemand) -> str:
    """What holds for every service: Little's law, and how much room there is."""
    each = max(1, math.ceil(asked.in_use / asked.workers - 1e-9))
    said = (
        f"Certain all the same: {asked.in_use:.3g} connections are in use on average "
        f"({asked.peak_per_s:.3g}/s × {formatting.milliseconds(asked.hold_ms)}), so that a pool of less than {each} "
        "for each worker is too small; how much more it takes is what this run does not say."
    )
    if asked.usable_connections is None:
        return said
    fits = f"{asked.usable_connections // asked.workers} for each worker"
    if asked.in_use > asked.usable_connections:
        fits = "less than are in use"
    return f"{said} Postgres has {asked.usable_connections} for services: {fits}."


def _next_run(sizing: Sizing) -> str:
    if sizing.no_size is not None:
        return curve.REMEDIES[sizing.no_size]
    return "what is said of the curve above; then run it again, and ask again."


def settings_code(findings: Findings, sizing: Sizing, given: Advice) -> str:
    """The pool of the arm at the knee with the size of the advice, as Python to copy; in words if it was not seen."""
    arm = sizing.knee.arm if sizing.knee else ""
    sized = [each.with_size(given.pool_size) for each in findings.pool_settings.get(arm, ())]
    sources = [pool_settings.python_source(each) for each in sized if each is not None]
    if sources:
        return "\n\n".join(sources)
    patience = "" if given.timeout_s is None else f", for which requests wait {given.timeout_s:g} s at most"
    return f"A pool of {formatting.plural(given.pool_size, 'connection')} in each process, and none beyond it{patience}"


def _total(given: Advice) -> str:
    asked = given.demand
    said = f"In all {asked.workers} × {given.pool_size} = {given.total} connections"
    if asked.usable_connections is None:
        return f"{said}. Say --max-connections to see whether Postgres has room for them."
    said += f", of {asked.usable_connections} that Postgres has for services"
    if given.below_ceiling:
        return (
            f"{said}: below half of max_connections, so a second copy fits while a new version is rolled out."
        )
    return (
        f"{said}. That is more than half of max_connections: a second copy of the service, as while a new version is "
        "rolled out, does not fit beside it."
    )


def _limit_warning(given: Advice) -> Iterator[RenderableType]:
    asked = given.demand
    yield Text(
        f"  {asked.workers} × {given.pool_size} = {given.total} connections are known to be enough, and Postgres has "
        f"{asked.usable_connections} for services. With pools of {given.largest_that_fits} nothing is refused, "
        "and requests may wait.",
        style="yellow",
    )
    yield Text(
        "  Give the connection back while the language model thinks (the sample's AGENT_HOLD=query), put a pooler in "
        "front of Postgres, or raise max_connections."
    )
