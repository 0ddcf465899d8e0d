"""`advise` in the terminal: the measured curve, the knee, what rules of thumb say, and the settings to use."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brokenpipe.measure import numbers
from brokenpipe.measure.advice import Advice
from brokenpipe.measure.findings import Findings
from brokenpipe.measure.sizing import Room, Sizing
from brokenpipe.report import sizing as curve
from brokenpipe.report import words

_STYLE = {Room.SHORT: "red", Room.OPEN: "yellow", Room.ENOUGH: "green"}
_MARK = {True: "✓", False: "✗"}
_INDENT = (0, 0, 0, 2)
_HEADS = (*curve.HEADS[:-1], "")  # the last column does not fit into 80


def measured(findings: Findings, sizing: Sizing, run: str) -> Iterator[RenderableType]:
    """The curve and its knee."""
    yield Text(words.lines(findings.question), style="bold")
    yield Text(numbers.plain(f"{curve.setting(findings, sizing)} ({run})"))
    yield Text()
    table = Table.grid(padding=(0, 1, 0, 0))
    for head in _HEADS:
        table.add_column(justify="left" if head == _HEADS[-1] else "right")
    table.add_row(*(Text(head, style="dim") for head in _HEADS))
    for row in curve.rows(sizing):
        texts = [Text(numbers.plain(text)) for text in row.texts[: len(_HEADS) - 1]]
        texts[1].stylize(_STYLE[row.room])
        table.add_row(
            *texts, Text("← knee", style="bold") if row.is_knee else Text(row.room.value, style="dim")
        )
    yield Padding(table, _INDENT)
    yield Text()
    yield Text(numbers.plain(f"{curve.knee_sentence(sizing)} ({run})"))
    for doubt in sizing.doubts:
        yield Text(numbers.plain(f"In doubt: {words.lines(doubt.text)}. {doubt.remedy}"), style="yellow")


def held_against_rules(findings: Findings, sizing: Sizing, run: str) -> Iterator[RenderableType]:
    """What rules of thumb say for the run's own numbers; nothing without a knee."""
    rules = curve.rules(findings, sizing)
    if not rules:
        return
    yield Text()
    yield Text(f"Rules of thumb, held against it ({run})", style="bold")
    for rule in rules:
        yield Text(numbers.plain(f"  {_MARK[rule.agrees]} {rule.name}"))
        yield Text(numbers.plain(f"      says {rule.says}; measured: {rule.measured}"))


def settings(findings: Findings, given: Advice, run: str) -> Iterator[RenderableType]:
    """The engine's settings for somebody's numbers."""
    yield Text()
    how = (
        "measured"
        if given.measured
        else "scaled from what was measured, as arrivals pile up: not measured itself"
    )
    yield Text(numbers.plain(f"For {curve.of_numbers(given.numbers)} ({how}; {run})"), style="bold")
    if given.fits is False:
        yield from _too_many(given)
        return
    yield Padding(Text(engine(findings, given)), _INDENT)
    yield Text(_total(given))
    if not given.measured and findings.arrivals_per_s is None:
        yield Text(
            "Users of this run waited for answers before they asked again: how arrivals pile up was not measured. "
            "For a service that anybody may ask, give the scenario arrivals_per_s.",
            style="yellow",
        )


def engine(findings: Findings, given: Advice) -> str:
    """Python to copy."""
    patience = 5.0 if given.timeout_s is None else given.timeout_s
    asynchronous = not any(
        value in {"psycopg2", "pg8000"}
        for arm in findings.arms.values()
        for value in {**findings.shared_env, **arm}.values()
    )
    lines = [
        f"pool_size={given.pool_size},",
        "max_overflow=0,  # as measured: overflow is opened and closed each time",
        f"pool_timeout={patience:g},  # as measured; keep it below your clients' own",
        "pool_pre_ping=True,  # these two: see `brokenpipe run default`",
        "pool_recycle=1800,",
    ]
    made_by = "create_async_engine" if asynchronous else "create_engine"
    return "\n".join([f"{made_by}(", "    DATABASE_URL,", *(f"    {line}" for line in lines), ")"])


def _total(given: Advice) -> str:
    asked = given.numbers
    said = f"In all {asked.workers} × {given.pool_size} = {given.total} connections"
    if asked.room is None:
        return f"{said}. Say --max-connections to see whether Postgres has room for them."
    said += f", of {asked.room} that Postgres has for services"
    if given.below_ceiling:
        return (
            f"{said}: below half of max_connections, so a second copy fits while a new version is rolled out."
        )
    return (
        f"{said}. That is more than half of max_connections: a second copy of the service, as while a new version is "
        "rolled out, does not fit beside it."
    )


def _too_many(given: Advice) -> Iterator[RenderableType]:
    asked = given.numbers
    yield Text(
        f"  {asked.workers} × {given.pool_size} = {given.total} connections are known to be enough, and Postgres has "
        f"{asked.room} for services. With pool_size={given.largest_that_fits} nothing is refused, "
        "and requests may wait.",
        style="yellow",
    )
    yield Text(
        "  Give the connection back while the language model thinks (the sample's AGENT_HOLD=query), put a pooler in "
        "front of Postgres, or raise max_connections."
    )
