"""`doctor`, `build` and `schema`: the commands for the machine and its editors."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from brokenpipe.commands import console
from brokenpipe.commands.options import EngineOption, StackKind, StackOption, engine_for
from brokenpipe.commands.signals import EXIT_UNKNOWN, raise_on_signals
from brokenpipe.plan.project import find_project_or_bundled

app = typer.Typer()


class System(StrEnum):
    """What the server can be built for. Containers are Linux, wherever they run."""

    LINUX = "linux"
    DARWIN = "darwin"


@app.command(epilog="Examples: brokenpipe doctor | brokenpipe doctor --stack compose")
def doctor(stack: StackOption = StackKind.LOCAL, engine: EngineOption = None) -> None:
    """Is this machine able to measure? Versions, ports, and every fault tried on raw sockets."""
    from brokenpipe.drive.doctor.compose import check_compose
    from brokenpipe.drive.doctor.local import check_local

    with console.exiting_on_errors():
        project, engine = find_project_or_bundled(Path.cwd()), engine_for(stack, engine, check=False)
        raise_on_signals()
        findings = check_local(project) if stack is StackKind.LOCAL else check_compose(project, engine)
        good = True
        for finding in findings:
            good &= finding.passed
            mark = Text("ok  ", style="green") if finding.passed else Text("BAD ", style="bold red")
            console.out.print(mark + Text(f"{finding.name}: {finding.finding}"))
            if not finding.passed:
                console.out.print(Text(f"     {finding.remedy}", style="yellow"))
        console.out.print(
            "This machine can measure." if good else "This machine cannot be trusted to measure now."
        )
        raise typer.Exit(0 if good else EXIT_UNKNOWN)


@app.command(epilog="Example: brokenpipe build")
def build(
    system: Annotated[
        System | None, typer.Option("--for", help="What it is to run on; by default, this machine.")
    ] = None,
) -> None:
    """Build the Toxiproxy server if its sources have changed. The first run does this, too."""
    from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

    with console.exiting_on_errors():
        binary = toxiproxy_binary(
            find_project_or_bundled(Path.cwd()).proxies, system=system.value.capitalize() if system else None
        )
        console.out.print(f"{binary}", soft_wrap=True)


class SchemaOf(StrEnum):
    """The files that have a schema."""

    SCENARIO = "scenario"
    TARGET = "target"


@app.command(epilog="Example: brokenpipe schema > scenarios/scenario.schema.json")
def schema(
    file: Annotated[SchemaOf, typer.Argument(help="Of a scenario, or of a target.toml.")] = SchemaOf.SCENARIO,
) -> None:
    """Print the JSON Schema of scenarios, or of target.toml, for editors. `make schema` writes both to their files."""
    from brokenpipe.plan.schema import scenario_schema, target_schema

    made = scenario_schema() if file is SchemaOf.SCENARIO else target_schema()
    typer.echo(json.dumps(made, indent=2, ensure_ascii=False))
