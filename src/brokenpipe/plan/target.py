"""A target: how to start the service under test, as its target.toml says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from brokenpipe.errors import Problem, TargetError
from brokenpipe.files import describe_missing_file
from brokenpipe.plan.arms import Environment, Variable
from brokenpipe.plan.errors.messages import shown
from brokenpipe.plan.placeholders import (
    COMMAND_WORDS,
    DATABASE_WORDS,
    PREPARE_WORDS,
    database_words_in,
    fill_command,
    placeholder_problems,
)
from brokenpipe.plan.readiness import Ready
from brokenpipe.plan.scenario import pass_env_problems, redacted_value_problems
from brokenpipe.plan.toml_model import StrictModel, read_toml, validated

_ADDRESS = ("host", "port")  # of the proxy, which stands between the service and its database
_QUERY = re.compile(r"\s*(SELECT|WITH|TABLE|VALUES)\b", re.IGNORECASE)  # the database checks the rest
_EXAMPLE = "targets/agent/target.toml is a working example."


Command = Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class Target(StrictModel):
    """A target.toml. Its commands run in the folder it stands in, or in `folder`."""

    command: Command
    """Starts the service. `{host}` and `{port}` are where it must listen, `{python}` is its interpreter."""

    ready: Ready
    """When it is up: a path that answers 200 then, `{ tcp = true }`, or `{ log = "a regular expression" }`."""

    dsn_env: Variable | None = None
    """The variable in which the service looks for its database. It may be left out if `env` says where that is."""

    dsn: Annotated[str, Field(min_length=1)] | None = None
    """The address of its database, in the form that it wants: the value of `dsn_env`, with placeholders."""

    prepare: Annotated[tuple[Command, ...], Field(strict=False, max_length=50)] = ()
    """Commands that are run once for each arm's database before the service starts, such as migrations. They reach
    Postgres itself, not through the proxy."""

    folder: str = "."
    """The folder in which its commands run, relative to that of the file."""

    python: str | None = None
    """Its interpreter, relative to that folder. Without it, that of brokenpipe."""

    image: Annotated[str, Field(min_length=1)] | None = None
    """The image of its containers. Without it, that of the sample agent."""

    witness: bool = True
    """Whether the witness is loaded into it."""

    ready_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """How long it may take to be up."""

    env: Environment = Field(default_factory=dict)
    """Its variables. In their values `{user}`, `{password}`, `{host}`, `{port}`, `{database}`, `{sslmode}` and
    `{sslrootcert}` are those of its database; all other braces stay."""

    pass_env: Annotated[tuple[Variable, ...], Field(strict=False)] = ()
    """Names of variables that it gets from the environment of brokenpipe. Their values are stored nowhere."""

    ledger: str | None = None
    """One SELECT with two columns: a key, and how often the database holds it."""

    def argv(self, **words: str) -> list[str]:
        """The command with its placeholders filled in."""
        return fill_command(self.command, words)

    @property
    def address_variables(self) -> tuple[str, ...]:
        """Names of the variables that say where its database is, or how to get in."""
        templates = [name for name, value in self.env.items() if database_words_in(value)]
        return (*([self.dsn_env] if self.dsn_env else ()), *templates)

    @property
    def password_variables(self) -> tuple[str, ...]:
        """Names of variables of `env` that hold the password of its database, whatever they are called."""
        return tuple(name for name, value in self.env.items() if "password" in database_words_in(value))


def parse_target(folder: Path) -> Target:
    """The target in a folder. Raises TargetError with every mistake found."""
    path = folder / "target.toml"
    _, data = read_toml(path, TargetError)
    target = validated(Target, data, path, TargetError, _EXAMPLE)
    if problems := tuple(_inconsistencies(target, folder)):
        raise TargetError(path, problems, remedy=_EXAMPLE)
    return target


def _inconsistencies(target: Target, folder: Path) -> Iterator[Problem]:
    yield from _command_problems(target)
    yield from _address_problems(target)
    yield from redacted_value_problems("env", target.env)
    yield from pass_env_problems(target.pass_env, target.env)
    yield from _dsn_env_problems(target)
    if target.ledger is not None and not _QUERY.match(target.ledger):
        yield Problem(
            "ledger",
            shown(target.ledger),
            "must be one SELECT with two columns, a key and a count, such as "
            "SELECT key, count(*) FROM memories GROUP BY key",
        )
    yield from _path_problems(target, folder)


def _path_problems(target: Target, folder: Path) -> Iterator[Problem]:
    working = folder / target.folder
    try:
        is_folder = working.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        yield Problem("folder", repr(target.folder), f"must be a folder, relative to {folder}")
        return
    if target.python is not None and (why := describe_missing_file(working / target.python)):
        yield Problem(
            "python", repr(target.python), f"must be an interpreter, relative to {working}; that path {why}"
        )


def _command_problems(target: Target) -> Iterator[Problem]:
    for index, part in enumerate(target.command):
        yield from placeholder_problems(f"command[{index}]", part, COMMAND_WORDS)
    if not any("{port}" in part for part in target.command):
        yield Problem(
            "command", " ".join(target.command), "must contain {port}: each arm gets one of its own"
        )
    for index, command in enumerate(target.prepare):
        for part in command:
            yield from placeholder_problems(f"prepare[{index}]", part, PREPARE_WORDS)


def _address_problems(target: Target) -> Iterator[Problem]:
    """The service must learn host and port of its proxy, by `dsn`, by values of `env`, or by both."""
    if target.dsn is None:
        yield from _problems_without_dsn(target)
        return
    yield from placeholder_problems("dsn", target.dsn, DATABASE_WORDS)
    if missing := [f"{{{word}}}" for word in reversed(_ADDRESS) if f"{{{word}}}" not in target.dsn]:
        yield Problem(
            "dsn",
            repr(target.dsn),
            f"must contain {' and '.join(missing)}, or the service reaches its database past the proxy",
        )
    if target.dsn_env is None:
        yield Problem("dsn_env", "nothing", "is required with dsn: the variable that gets it")


def _problems_without_dsn(target: Target) -> Iterator[Problem]:
    if target.dsn_env is not None:
        yield Problem("dsn", "nothing", f"is required with dsn_env: the value of {target.dsn_env}")
        return
    words = {word for value in target.env.values() for word in database_words_in(value)}
    missing = [f"{{{word}}}" for word in _ADDRESS if word not in words]
    if missing == ["{host}", "{port}"]:
        yield Problem(
            "dsn_env",
            "nothing",
            "the service must be told where its database is: give dsn_env and dsn, or values with {host} and {port} "
            'in [env], such as PGHOST = "{host}"',
        )
    elif missing:
        yield Problem(
            "env",
            "nothing",
            f"no value contains {missing[0]}: without it the service reaches its database past the proxy",
        )


def _dsn_env_problems(target: Target) -> Iterator[Problem]:
    if target.dsn_env in target.pass_env:
        yield Problem(
            f"pass_env[{target.pass_env.index(target.dsn_env)}]",
            target.dsn_env,
            "is dsn_env: each arm is given an address of its own in it. Leave it out",
        )
    if target.dsn_env in target.env:
        yield Problem(
            f"env.{target.dsn_env}", "", "is dsn_env, which is set to the arm's proxy: leave it out here"
        )
