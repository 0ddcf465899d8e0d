"""`init` and `check`: a repository of one's own becomes a project, and its service is proved to work in it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from brokenpipe.commands import console
from brokenpipe.commands.options import ScenarioArgument
from brokenpipe.commands.signals import raise_on_signals
from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Overrides, make_plan
from brokenpipe.plan.project import OWN_FOLDER, Project, find_project

if TYPE_CHECKING:
    from brokenpipe.init.summary import Row

app = typer.Typer()

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the best guess, and say so.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Write all files anew; reports stay.")]
AppOption = Annotated[
    str | None, typer.Option("--app", help="The application, if several were found.", metavar="MODULE:NAME")
]
VariableOption = Annotated[
    str | None,
    typer.Option(help="The variable in which the service finds its database.", metavar="NAME"),
]


@app.command(epilog="Examples: brokenpipe init | brokenpipe init --yes --app shop.main:app")
def init(
    yes: YesOption = False,
    force: ForceOption = False,
    application: AppOption = None,
    database_variable: VariableOption = None,
) -> None:
    """Make an experiment for the service of this repository: look at it, write brokenpipe/, and start it once."""
    from brokenpipe.init.discovery import Answers, discover
    from brokenpipe.init.files import require_free, write_folder
    from brokenpipe.init.repository import Repository
    from brokenpipe.init.summary import summary_rows

    with console.exiting_on_errors():
        raise_on_signals()
        repository = Repository(Path.cwd())
        require_free(repository.root / OWN_FOLDER, force=force)
        with console.out.status("looking at the repository"):
            answers = Answers(_Chooser(guess=yes), application, database_variable)
            service = discover(repository, answers)
        _print_rows(summary_rows(service))
        folder = write_folder(repository.root, service, force=force)
        console.out.print(f"\nWritten: {OWN_FOLDER}/. The service is started once now, to prove it.\n")
        _check(Project(folder), "default")
        console.out.print("\nPlay it, from anywhere in this repository: brokenpipe run default")


@app.command(epilog="Example: brokenpipe check")
def check(scenario: ScenarioArgument = "default") -> None:
    """Start the service once, and prove that it is prepared, ready, and reaches its database through the proxy."""
    with console.exiting_on_errors():
        raise_on_signals()
        _check(find_project(Path.cwd()), scenario)


def _check(project: Project, scenario: str) -> None:
    from brokenpipe.drive.service_check import ServiceCheck, check_service
    from brokenpipe.plan.scenario import parse_scenario
    from brokenpipe.plan.secrets.passed_variables import require_passed

    _, parsed = parse_scenario(project.scenario_path(scenario))
    plan, sources = make_plan(project, scenario, Overrides(only=(parsed.control,)))
    require_passed(plan)
    with console.out.status("starting the stack") as status:
        check_service(ServiceCheck(plan, sources, project, status.update, _print_proof))


def _print_proof(what: str, by: str) -> None:
    console.out.print(Text("✓ ", style="green") + Text(f"{what}: {by}"), soft_wrap=True)


def _print_rows(rows: Iterable[Row]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(row.what, row.value, Text(("a guess: " if row.guess else "") + row.where, style="dim"))
    console.out.print(table)


class _Chooser:
    """Asks at a terminal which of several is meant; takes the first with `guess`; else nobody can be asked."""

    def __init__(self, *, guess: bool) -> None:
        self._guess = guess

    def __call__(self, question: str, choices: Sequence[str]) -> int:
        if self._guess:
            console.out.print(f"a guess of {len(choices)}: {choices[0]}")
            return 0
        if not sys.stdin.isatty():
            raise UsageError(
                question, remedy="Name it, or take the first with --yes.", details=tuple(choices)
            )
        console.out.print(question)
        for number, choice in enumerate(choices, 1):
            console.out.print(f"  {number}  {choice}")
        number = 0
        while not 1 <= number <= len(choices):
            number = typer.prompt("Which", type=int, default=1)
        return number - 1
