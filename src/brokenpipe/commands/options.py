"""Arguments and options of the commands, with the texts of `--help`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from brokenpipe.errors import UsageError
from brokenpipe.plan.secrets.passed_variables import require_set
from brokenpipe.plan.toml_model import LIMITS
from brokenpipe.redaction import is_secret


class StackKind(StrEnum):
    """Where the stack runs."""

    LOCAL = "local"
    COMPOSE = "compose"


ScenarioArgument = Annotated[
    str, typer.Argument(help="A TOML file, or the name of one in scenarios/.", metavar="SCENARIO")
]
UsersOption = Annotated[int | None, typer.Option(min=1, max=10_000, help="Users of each arm.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=64, help="Locust processes that share the users: more requests than one core can send."
    ),
]
MasterBindOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Start no workers, let them join there from other machines; the service listens on HOST, too.",
    ),
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of everything that is drawn by chance.")]
OnlyOption = Annotated[str | None, typer.Option(metavar="ARM,…", help="Run these arms only.")]
EnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="K[=V]",
        help="A variable for every arm; may be repeated. Without =V: from your environment, never recorded.",
    ),
]
StackOption = Annotated[
    StackKind, typer.Option(help="Where all but the load runs: child processes, or containers.")
]
EngineOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="With --stack compose: another Docker engine than the active one."),
]
IsolateOption = Annotated[
    bool,
    typer.Option("--isolate", help="One arm at a time where nothing strikes: for what settings cost."),
]
UntilDecidedOption = Annotated[
    bool, typer.Option("--until-decided", help="Add episodes where rates or latencies are undecided.")
]
AtMostOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        metavar="N",
        help="With --until-decided: episodes of a phase; default: 4 × the scenario's.",
    ),
]
RunsOption = Annotated[
    int, typer.Option(min=0, max=1000, help="Record so many more runs first; 0: judge those that are there.")
]
RelabelledOption = Annotated[
    int, typer.Option(min=1, max=100_000, help="Experiments made from the runs by shuffling the arms' names.")
]
DurationOption = Annotated[
    str, typer.Option(metavar="TIME", help="How long to go on, such as 90s, 30m or 1h30m.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the timeline and stop.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where a comparison goes; default: reports/compare-….html."),
]
BaselineOption = Annotated[
    Path | None,
    typer.Option(metavar="REPORT", help="A report folder: fail if anything got worse since then."),
]
HtmlOption = Annotated[
    bool,
    typer.Option(
        "--html/--no-html",
        envvar="BROKENPIPE_HTML",
        help="Write report.html. Without it the verdict comes sooner; `brokenpipe report` makes it at any time.",
    ),
]
WebOption = Annotated[
    bool, typer.Option("--web", help="Locust's web UI on 127.0.0.1: start, stop, and break the wire by hand.")
]
WebPortOption = Annotated[
    int | None,
    typer.Option(min=1024, max=65535, metavar="PORT", help="With --web; default: 8089, or a free one."),
]
TrendOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Where the page goes; default: trend.html in the folder."),
]
ReportsOption = Annotated[Path | None, typer.Option(help="Where report folders go; default: reports/.")]


def engine_for(stack: StackKind, requested: str | None, *, check: bool = True) -> str | None:
    """The Docker engine for `--stack compose`, checked to answer and to be on this machine; None for a local stack.

    Without `check` the engine is not contacted.

    Raises UsageError or EngineError before anything is begun.
    """
    if stack is StackKind.LOCAL:
        if requested is not None:
            raise UsageError(
                f"--engine {requested}: goes with --stack compose", remedy="Add it, or leave --engine out."
            )
        return None
    if check:
        from brokenpipe.stack.containers.engine import find_engine

        find_engine(requested)
    return requested


def parse_address(text: str, option: str) -> tuple[str, int]:
    """Host and port of HOST:PORT. Raises UsageError."""
    host, _, port = text.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise UsageError(
            f"{option} {text}: found no HOST:PORT", remedy=f"Write for example {option} 192.168.1.5:5557."
        )
    return host, int(port)


def parse_names(joined: str | None) -> tuple[str, ...]:
    """The arms that `--only` lists. Raises UsageError if it lists none."""
    if joined is None:
        return ()
    names = tuple(name.strip() for name in joined.split(",") if name.strip())
    if not names:
        raise UsageError(
            f"--only {joined!r}: names no arm", remedy="Write for example --only plain,pre_ping."
        )
    return names


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables of `--env`: with a value, or only a name, whose value is taken from the environment."""

    given: Mapping[str, str]
    passed: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """The same as command line options, without secrets."""
        return [
            *(f"--env={name}={value}" for name, value in self.given.items()),
            *(f"--env={name}" for name in self.passed),
        ]


def parse_variables(options: list[str]) -> Variables:
    """The variables of every `--env`. A secret with a value becomes a variable of this process, passed on by name.

    So secrets have one way, on which nothing is recorded. Raises UsageError for what names no variable,
    and for a name without a value that is not set here.
    """
    given: dict[str, str] = {}
    passed: list[str] = []
    for option in options:
        name, equals, value = option.partition("=")
        if not name.isidentifier():
            shown = option if not equals else f"{name}=…"
            raise UsageError(
                f"--env {shown}: found no NAME=VALUE, and no NAME",
                remedy="Write for example --env DB_DRIVER=psycopg, or --env OPENAI_API_KEY to pass on your own.",
            )
        if len(value) > LIMITS.text:
            raise UsageError(
                f"--env {name}: found a value of {len(value):,} characters",
                remedy=f"Give at most {LIMITS.text:,}; what is longer belongs into a file.",
            )
        given.pop(name, None)
        passed = [each for each in passed if each != name]
        if not equals or is_secret(name, value):
            os.environ |= {name: value} if equals else {}
            passed.append(name)
        else:
            given[name] = value
    require_set(passed)
    return Variables(given, tuple(passed))


MAX_DURATION_S = 7 * 24 * 3600
_DURATION = re.compile(r"(?=.)(?:([0-9]{1,15})h)?(?:([0-9]{1,15})m)?(?:([0-9]{1,15})s?)?")


def duration_s(text: str) -> int:
    """The seconds of `--duration`, at most a week. Raises UsageError."""
    found = _DURATION.fullmatch(text.strip().lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise UsageError(
            f"--duration {text!r}: found no time", remedy="Write for example --duration 90s, 30m or 1h30m."
        )
    if total > MAX_DURATION_S:
        raise UsageError(f"--duration {text}: longer than a week", remedy="Give at most 168h.")
    return total
