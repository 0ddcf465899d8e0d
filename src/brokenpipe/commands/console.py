"""The consoles of the commands, and how errors are printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from brokenpipe.commands.signals import EXIT_INTERRUPTED
from brokenpipe.errors import BrokenpipeError, MemoryShortage, OutOfFiles
from brokenpipe.plain_text import escape_controls, shorten
from brokenpipe.shortages import describe_low_limit, is_memory_shortage, is_out_of_files

_MAX_LINE_CHARACTERS = 2000  # of one line of an error
_MAX_DETAILS = 60  # lines of an error


class SafeConsole(Console):
    """A console that shows control characters instead of sending them: escapes, direction marks, invisible characters.

    All output passes here, also text of foreign reports, logs, paths and scenarios. Styles work; markup in square
    brackets is printed as text.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False} | settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as a console does, before lines are folded and measured."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(escape_controls(segment.text), segment.style)


out = SafeConsole()
err = SafeConsole(stderr=True)


@contextmanager
def converting_shortages() -> Iterator[None]:
    """Convert the many errors of a lack of memory into one, and those of a lack of descriptors into another."""
    if message := describe_low_limit():  # it may have been set since
        raise MemoryShortage(message)
    try:
        yield
    except BrokenpipeError:
        raise
    except Exception as error:
        if is_memory_shortage(error):
            raise MemoryShortage from error
        if is_out_of_files(error):
            raise OutOfFiles from error
        raise


@contextmanager
def exiting_on_errors() -> Iterator[None]:
    """Print an error without a traceback, and exit with its code."""
    try:
        with converting_shortages():
            yield
    except BrokenpipeError as error:
        print_error(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def print_error(error: BrokenpipeError) -> None:
    """Print what happened, to what, and what to do next: each on one line of bounded length."""
    # Never wrapped: a path cut in two can neither be copied nor searched for.
    err.print(Text("error: ", style="bold red") + Text(_on_one_line(error.message)), soft_wrap=True)
    for line in error.details[:_MAX_DETAILS]:
        err.print(Text(f"  {_on_one_line(line)}"), soft_wrap=True)
    if more := len(error.details[_MAX_DETAILS:]):
        err.print(Text(f"  … and {more:,} more lines"), soft_wrap=True)
    if error.remedy:
        err.print(Text(f"→ {_on_one_line(error.remedy)}", style="yellow"), soft_wrap=True)


def _on_one_line(text: str) -> str:
    """A text on one line: a foreign text must not begin a second one."""
    return shorten(" ".join(text.splitlines()), _MAX_LINE_CHARACTERS)
