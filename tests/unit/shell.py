"""A command line of ours, answered in this process: as fast as a function, judged as a user would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from typer import testing

from brokenpipe import cli
from brokenpipe.commands import console

# The command line is put together once, not for each call: that takes longer than most commands do.
testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]

COLUMNS = 400  # wide enough that no path of a temporary folder is broken in two


@dataclass(frozen=True)
class Answer:
    """What a user gets. `said` is what stood on stderr with its line breaks removed: the terminal makes those."""

    exit_code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join(self.err.split())


def brokenpipe(*arguments: str) -> Answer:
    """Run the program. An exception of any other kind than ours reaches the test."""
    with _wide_terminal():
        result = testing.CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    return Answer(result.exit_code, result.stdout, result.stderr)


@contextmanager
def _wide_terminal() -> Iterator[None]:
    before = console.out, console.err
    console.out = console.SafeConsole(width=COLUMNS)
    console.err = console.SafeConsole(stderr=True, width=COLUMNS)
    try:
        yield
    finally:
        console.out, console.err = before


def assert_answers_a_mistake(answer: Answer) -> None:
    """What every mistake of a user gets: exit code 2, one message with a next step, and no traceback."""
    assert answer.exit_code == 2, answer
    assert answer.err.startswith("error: "), answer
    assert "\n→ " in answer.err, answer
    assert "Traceback" not in answer.err, answer
    assert "Input should" not in answer.err, "pydantic's words, not ours"
