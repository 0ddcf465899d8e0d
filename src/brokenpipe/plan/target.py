"""A target: how to start the service under test, as its target.toml says."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from brokenpipe.errors import Problem, TargetError
from brokenpipe.files import describe_missing_file
from brokenpipe.plan.arms import Environment, Variable
from brokenpipe.plan.errors.messages import PATH, did_you_mean, shown
from brokenpipe.plan.scenario import pass_env_problems, redacted_value_problems
from brokenpipe.plan.toml_model import StrictModel, read_toml, validated

COMMAND_WORDS = ("python", "host", "port")
DSN_WORDS = ("user", "password", "host", "port", "database", "sslmode", "sslrootcert")
_REQUIRED_IN_DSN = ("{port}", "{host}")  # of the proxy, which stands between the service and its database
_QUERY = re.compile(r"\s*(SELECT|WITH|TABLE|VALUES)\b", re.IGNORECASE)  # the database checks the rest
_EXAMPLE = "targets/agent/target.toml is a working example."


class Target(StrictModel):
    """A target.toml. The folder it stands in is the working directory of the command."""

    command: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    ready: Annotated[str, Field(pattern=PATH)]  # answers 200 once the service is up
    dsn_env: Variable  # the variable in which the service looks for its database
    dsn: Annotated[str, Field(min_length=1)]
    python: str | None = None  # its interpreter, relative to the folder; default: ours
    # Of its containers; default: that of the sample agent.
    image: Annotated[str, Field(min_length=1)] | None = None
    witness: bool = True
    ready_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    env: Environment = Field(default_factory=dict)
    pass_env: Annotated[tuple[Variable, ...], Field(strict=False)] = ()  # its names; values are the caller's
    ledger: str | None = None  # one SELECT with two columns: a key, and how often the database holds it

    def argv(self, **words: str) -> list[str]:
        """The command with its placeholders filled in."""
        return [part.format(**words) for part in self.command]


def parse_target(folder: Path) -> Target:
    """The target in a folder. Raises TargetError with every mistake found."""
    path = folder / "target.toml"
    _, data = read_toml(path, TargetError)
    target = validated(Target, data, path, TargetError, _EXAMPLE)
    if problems := tuple(_inconsistencies(target, folder)):
        raise TargetError(path, problems, remedy=_EXAMPLE)
    return target


def _inconsistencies(target: Target, folder: Path) -> Iterator[Problem]:
    for index, part in enumerate(target.command):
        yield from _placeholder_problems(f"command[{index}]", part, COMMAND_WORDS)
    yield from _placeholder_problems("dsn", target.dsn, DSN_WORDS)
    if missing := [word for word in _REQUIRED_IN_DSN if word not in target.dsn]:
        yield Problem(
            "dsn",
            repr(target.dsn),
            f"must contain {' and '.join(missing)}, or the service reaches its database past the proxy",
        )
    if not any("{port}" in part for part in target.command):
        yield Problem(
            "command", " ".join(target.command), "must contain {port}: each arm gets one of its own"
        )
    yield from redacted_value_problems("env", target.env)
    yield from pass_env_problems(target.pass_env, target.env)
    if target.dsn_env in target.pass_env:
        yield Problem(
            f"pass_env[{target.pass_env.index(target.dsn_env)}]",
            target.dsn_env,
            "is dsn_env: each arm is given an address of its own in it. Leave it out",
        )
    if target.ledger is not None and not _QUERY.match(target.ledger):
        yield Problem(
            "ledger",
            shown(target.ledger),
            "must be one SELECT with two columns, a key and a count, such as "
            "SELECT key, count(*) FROM memories GROUP BY key",
        )
    if target.python is not None and (why := describe_missing_file(folder / target.python)):
        yield Problem(
            "python", repr(target.python), f"must be an interpreter, relative to {folder}; that path {why}"
        )
    if target.dsn_env in target.env:
        yield Problem(
            f"env.{target.dsn_env}", "", "is dsn_env, which is set to the arm's proxy: leave it out here"
        )


def _placeholder_problems(key: str, template: str, words: tuple[str, ...]) -> Iterator[Problem]:
    try:
        fields = [
            (name, f"!{conversion}" if conversion else f":{spec}" if spec else "")
            for _, name, spec, conversion in string.Formatter().parse(template)
            if name is not None
        ]
    except ValueError as error:
        yield Problem(key, repr(template), f"{error}; write {{{{ and }}}} for braces")
        return
    for name, form in fields:
        if name in words and form:
            yield Problem(key, f"{{{name}{form}}}", f"write {{{name}}} alone")
        elif name not in words:
            yield Problem(key, f"{{{name}}}", f"unknown placeholder; {did_you_mean(name, words)}")
