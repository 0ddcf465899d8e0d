"""The commands that prepare the database of each arm, such as migrations: run before its service starts.

They are run one after the other, each for all arms at once, with the environment and folder of the service.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from brokenpipe.errors import PreparationError, StackError
from brokenpipe.plan.placeholders import fill_command
from brokenpipe.redaction import redacted_text
from brokenpipe.stack.postgres.extensions import missing_extension_error
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.processes.process import Child, child, clean_environment

TIMEOUT_S = 600.0  # of one command, for all arms
LAST_LINES = 30  # a traceback of a migration tool is long, and its cause is at its end


@dataclass(frozen=True, slots=True)
class Preparation:
    """The commands of one arm, and what they are run with. `words`: what placeholders stand for."""

    arm: str
    target: str
    commands: Sequence[Sequence[str]]
    words: Mapping[str, str]
    folder: Path
    env: Mapping[str, str]
    log_path: Path
    secrets: Sequence[str]


def prepare_databases(
    preparations: Sequence[Preparation], janitor: Janitor, on_step: Callable[[str], None]
) -> None:
    """Run all of them to their end. Raises PreparationError for the first command that fails, StackError for one that
    cannot be started.
    """
    for index, commands in enumerate(zip_longest(*(each.commands for each in preparations))):
        given = [(each, command) for each, command in zip(preparations, commands, strict=True) if command]
        on_step(f"preparing databases: {_shown(given[0][1])}")
        with ExitStack() as running:
            started = [
                (each, running.enter_context(_start(each, command, janitor))) for each, command in given
            ]
            _wait(started, index)


def _start(
    preparation: Preparation, command: Sequence[str], janitor: Janitor
) -> AbstractContextManager[Child]:
    return child(
        f"prepare of arm {preparation.arm}",
        fill_command(command, preparation.words),
        log_path=preparation.log_path,
        janitor=janitor,
        env=clean_environment({"PYTHONUNBUFFERED": "1", **preparation.env}),
        cwd=preparation.folder,
        secrets=preparation.secrets,
    )


def _wait(started: Sequence[tuple[Preparation, Child]], index: int) -> None:
    until = time.monotonic() + TIMEOUT_S
    for preparation, process in started:
        ended = partial(_has_ended, process)
        if poll(ended, timeout_s=max(until - time.monotonic(), 0.1), every_s=0.02) is None:
            raise _error(preparation, process, index, f"has not ended within {TIMEOUT_S:g} s")
        if process.popen.returncode != 0:
            raise _error(preparation, process, index, f"ended with {process.exit_text}")


def _has_ended(process: Child) -> bool | None:
    return None if process.running else True


def _error(preparation: Preparation, process: Child, index: int, what: str) -> StackError:
    lines = process.last_lines(LAST_LINES)
    if error := missing_extension_error(lines):
        return error
    key = f"prepare[{index}] in targets/{preparation.target}/target.toml"
    return PreparationError(
        f"the database of arm {preparation.arm} is not prepared: `{_shown(preparation.commands[index])}` {what}",
        remedy=f"Correct {key}, or what it runs, in {preparation.folder}. The whole log is {process.log_path}.",
        details=lines,
    )


def _shown(command: Sequence[str]) -> str:
    """The command as in the file: its placeholders stand for secrets, too."""
    return redacted_text(shlex.join(command).replace("'{python}'", "{python}").replace("'{psql}'", "{psql}"))
