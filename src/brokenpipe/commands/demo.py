"""`demo`: the sample experiment, in any folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.options import DryRunOption, HtmlOption, ReportsOption, SeedOption, UsersOption
from brokenpipe.commands.run import plan_and_play
from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Overrides
from brokenpipe.plan.project import demo_project

app = typer.Typer()

SAMPLE_PACKAGES = {
    "asyncpg": "asyncpg",
    "fastapi": "fastapi",
    "psycopg2": "psycopg2-binary",
    "pydantic_settings": "pydantic-settings",
    "sqlalchemy": "sqlalchemy[asyncio]",
    "uvicorn": "uvicorn",
}
"""What the sample agent imports, and the package that has it: the extra `agent`."""


@app.command(epilog="Examples: brokenpipe demo | brokenpipe demo quick --users 10")
def demo(
    scenario: Annotated[
        str, typer.Argument(help="One of the scenarios that come with the program.", metavar="[SCENARIO]")
    ] = "default",
    users: UsersOption = None,
    seed: SeedOption = None,
    reports: ReportsOption = None,
    html: HtmlOption = True,
    dry_run: DryRunOption = False,
) -> None:
    """Play the sample: a small agent service that loses its connections, with and without pre-ping and recycle.

    It needs no file of yours. Reports go to brokenpipe/reports/ in this folder, or to those of the project around it.
    """
    with console.exiting_on_errors():
        _demand_sample_packages()
        overrides = Overrides(users, seed)
        plan_and_play(
            demo_project(Path.cwd()), scenario, overrides, reports, baseline=None, html=html, dry_run=dry_run
        )


def _demand_sample_packages() -> None:
    """Raises UsageError if the sample agent could not be imported."""
    missing = [
        package for module, package in SAMPLE_PACKAGES.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        quoted = " ".join(f"'{package}'" if "[" in package else package for package in missing)
        raise UsageError(
            f"the sample agent needs {', '.join(missing)}, which this environment does not have",
            remedy=f"Install brokenpipe with its extra [agent], or now: pip install {quoted}",
        )
