"""The program: the commands of `commands/` as one Typer application.

0 pass   1 fail   2 usage or bad scenario   3 unknown   4 the stack did not start   130 Ctrl-C
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from brokenpipe import __version__
from brokenpipe.commands import advise, console, demo, doctor, init, report, resume, run, up_down, worker
from brokenpipe.commands.signals import EXIT_UNKNOWN
from brokenpipe.plain_text import escape_controls, shorten
from brokenpipe.shortages import is_memory_shortage

_MAX_REPEATED = 600  # characters of an answer that repeats what was typed


class BriefGroup(TyperGroup):
    """The group of all commands. Error messages have a bounded length: the option parser repeats what was typed."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Parse the options before the command."""
        with _shortened_errors():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Parse the command and its options, and run it."""
        with _shortened_errors():
            return super().invoke(ctx)


@contextmanager
def _shortened_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            with suppress(AttributeError):  # of other libraries: there it may be a property
                error.message = shorten(escape_controls(message), _MAX_REPEATED)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=BriefGroup,
    help="Find out which pool settings survive which failure of the connection to Postgres, and what they cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (demo, init, run, resume, report, advise, doctor, up_down, worker):
    app.add_typer(group.app)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        console.out.print(f"brokenpipe {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the program. A defect of ours keeps its traceback and exits 3: it is no verdict on the service."""
    try:
        app()
    except Exception as error:
        if is_memory_shortage(error):
            raise
        traceback.print_exc()
        sys.exit(EXIT_UNKNOWN)
