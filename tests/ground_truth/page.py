"""docs/planted-truth.md: what was planted beside what was found, in a run that somebody saw."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from tests.ground_truth.comparison import Aspect, Judgement, Tally
from tests.ground_truth.scripts import HELD, MOMENTARY, Play

COMMAND = "make truth"

HEAD = """# Planted failures

Does each failed request get the cause that it really had? A service that fails as it is told (`tests/ground_truth`) is
run as a target: real Locust, real proxies, real Postgres, one arm for each driver. Each phase has a fault, or none, and
what its requests do is laid out so that this fault can hit them in one way only: a strike while everyone is asleep in a
statement, while everyone thinks between two statements, while all connections are idle in the pool … Among them are
requests that fail by themselves while a fault is there, which must not be blamed on it: exceptions, a unique
violation, a session that ends itself, a time limit of the service's own, a pool that the service itself has taken,
a database that does not exist.

What was planted follows from the service's own books, in which each request notes the steps that it begins, and from
the times of the strikes. What is found is what a report says. The two know nothing of each other.

"""

READING = """
Rows are what was planted, columns what was found, numbers are failed requests of all three drivers. What stands off the
diagonal is in **bold**. What a driver does not pass on was planted as what is left of it: see
[error-classes.md](error-classes.md).
"""


def page(tally: Tally) -> str:
    """The whole page, as Markdown."""
    lines = [
        HEAD + _result(tally),
        READING,
        *_matrices(tally),
        "\n## What was planted, phase by phase\n",
        *_phases(tally),
    ]
    return "\n".join(lines) + "\n"


def _result(tally: Tally) -> str:
    failed, right = len(tally.pairs), len(tally.judged(Judgement.RIGHT))
    versions = ", ".join(
        f"{name} {version(name)}"
        for name in ("sqlalchemy", "asyncpg", "psycopg", "psycopg2-binary", "locust")
    )
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    missing, wrong = len(tally.judged(Judgement.MISSING)), len(tally.judged(Judgement.WRONG))
    share = f"{100 * right / failed:.1f} %"
    return f"""**{right} of {failed} failed requests ({share}) were given what was planted, in every respect; \
{missing} were said to be not known, {wrong} were given something else.** Beside these, {tally.at_the_edge} failed
where a strike came so close to the edge of a step, or took so long, that it may have hit either of two: nobody can say
what they were planted with, and they are left out.

`{COMMAND}` does it again and writes this page. This one is of {today}:
{versions}, Python {platform.python_version()},
{platform.system()} on {platform.machine()}."""


def _matrices(tally: Tally) -> Iterator[str]:
    for aspect in Aspect:
        yield f"\n## {aspect}\n"
        yield from _matrix(tally.matrix(aspect))


def _matrix(counts: Counter[tuple[str, str]]) -> Iterator[str]:
    names = sorted({name for pair in counts for name in pair})
    found = [name for name in names if any(pair[1] == name for pair in counts)]
    short = {name: str(n) for n, name in enumerate(names, start=1)}
    yield "| planted | " + " | ".join(short[name] for name in found) + " |"
    yield "|---|" + "---:|" * len(found)
    for row in names:
        if any(pair[0] == row for pair in counts):
            cells = (_cell(counts[row, name], row == name) for name in found)
            yield f"| {short[row]} {row} | " + " | ".join(cells) + " |"
    for name in found:
        if not any(pair[0] == name for pair in counts):
            yield f"\n{short[name]}: {name}, which nobody planted"


def _cell(count: int, diagonal: bool) -> str:
    if not count:
        return ""
    return str(count) if diagonal else f"**{count}**"


def _phases(tally: Tally) -> Iterator[str]:
    yield "| phase | fault | what requests did | asyncpg | psycopg | psycopg2 | of these right |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for play in (*MOMENTARY, *HELD):
        yield _phase(play, tally)


def _phase(play: Play, tally: Tally) -> str:
    pairs = [pair for pair in tally.pairs if pair.phase == play.phase]
    by_driver = Counter(pair.driver for pair in pairs)
    counts = " | ".join(str(by_driver[driver]) for driver in ("asyncpg", "psycopg", "psycopg2"))
    right = sum(pair.judgement is Judgement.RIGHT for pair in pairs)
    scripts = ", ".join(script.name for script in play.scripts)
    fault = f"`{play.fault}`" if play.fault else ""
    return f"| {play.phase.replace('_', ' ')} | {fault} | {scripts} | {counts} | {right} |"
