"""Where the commands print, and how they answer for what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from brokenpipe.commands.asked_to_end import EXIT_INTERRUPTED
from brokenpipe.errors import BrokenpipeError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def answering_for_errors() -> Iterator[None]:
    """End the process with the error's own exit code, and without a traceback: it is the user's to mend."""
    try:
        yield
    except BrokenpipeError as error:
        complain(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def complain(error: BrokenpipeError) -> None:
    """Say what happened, to what, and what to do next."""
    # Never wrapped by us: a path cut in two can neither be copied nor searched for.
    err.print(Text("error: ", style="bold red") + Text(error.message), soft_wrap=True)
    for line in error.details:
        err.print(Text(f"  {line}"), soft_wrap=True)
    if error.remedy:
        err.print(Text(f"→ {error.remedy}", style="yellow"), soft_wrap=True)
