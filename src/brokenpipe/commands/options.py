"""What the commands take: arguments and options, in the words of `--help`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from brokenpipe.errors import UsageError


class StackKind(StrEnum):
    """Where the stack runs."""

    LOCAL = "local"
    COMPOSE = "compose"


ScenarioArgument = Annotated[
    str, typer.Argument(help="A TOML file, or the name of one in scenarios/.", metavar="SCENARIO")
]
UsersOption = Annotated[int | None, typer.Option(min=1, max=10_000, help="Users of each arm.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of everything that is drawn by chance.")]
OnlyOption = Annotated[str | None, typer.Option(metavar="ARM,…", help="Run these arms only.")]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="K=V", help="An environment variable for every arm; may be repeated."),
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
ReportsOption = Annotated[Path | None, typer.Option(help="Where report folders go; default: reports/.")]


def names(joined: str | None) -> tuple[str, ...]:
    """What `--only` lists. Raises UsageError if that is nothing."""
    if joined is None:
        return ()
    names = tuple(name.strip() for name in joined.split(",") if name.strip())
    if not names:
        raise UsageError(
            f"--only {joined!r}: names no arm", remedy="Write for example --only plain,pre_ping."
        )
    return names


def variables(assignments: list[str]) -> dict[str, str]:
    """What each `--env` sets. Raises UsageError for what is no assignment."""
    variables = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(
                f"--env {assignment}: found no NAME=VALUE",
                remedy="Write for example --env DB_DRIVER=psycopg.",
            )
        variables[name] = value
    return variables
