"""`up` and `down`: a stack that runs until it is ended, to look at or to break by hand."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer
from rich.table import Table

from brokenpipe.commands import console
from brokenpipe.commands.options import (
    EngineOption,
    EnvOption,
    OnlyOption,
    ScenarioArgument,
    StackKind,
    StackOption,
    Variables,
    engine_for,
    parse_names,
    parse_variables,
)
from brokenpipe.commands.signals import EXIT_UNKNOWN, raise_on_signals
from brokenpipe.plan.plan import Overrides, Plan, Sources, make_plan
from brokenpipe.plan.project import Project, find_project
from brokenpipe.plan.secrets.passed_variables import require_passed

app = typer.Typer()


@app.command(epilog="Example: brokenpipe up default --only plain,pre_ping")
def up(
    scenario: ScenarioArgument = "default",
    only: OnlyOption = None,
    env: EnvOption = None,
    stack: StackOption = StackKind.LOCAL,
    engine: EngineOption = None,
) -> None:
    """Start the stack of a scenario and leave it running: to look at, or to break by hand."""
    from brokenpipe.drive import detached_stack

    with console.exiting_on_errors():
        project = find_project(Path.cwd())
        chosen = parse_variables(env or [])
        require_passed(_make_plan(project, scenario, only, chosen, stack)[0])
        engine = engine_for(stack, engine)
        arguments = [scenario, *(["--only", only] if only else []), *chosen.options]
        arguments += [f"--stack={stack.value}", *([f"--engine={engine}"] if engine else [])]
        raise_on_signals()
        with console.out.status("starting the stack"):
            stack_info = detached_stack.up(project, arguments)
        table = Table(
            "arm", "target", "its proxy", title=f"{stack_info.scenario} stands", title_justify="left"
        )
        for arm, url in stack_info.targets.items():
            table.add_row(arm, url, stack_info.proxies[arm])
        console.out.print(table)
        console.out.print(f"Toxiproxy's API: {stack_info.toxiproxy}   Postgres: {stack_info.postgres}")
        console.out.print("End it with: brokenpipe down")


@app.command("keep", hidden=True)
def serve_stack(
    scenario: ScenarioArgument,
    only: OnlyOption = None,
    env: EnvOption = None,
    stack: StackOption = StackKind.LOCAL,
    engine: EngineOption = None,
) -> None:
    """Keep the stack until SIGTERM: the process behind `up`."""
    from brokenpipe.drive.detached_stack import serve
    from brokenpipe.drive.run_session import Terminated

    def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    with console.exiting_on_errors():
        project = find_project(Path.cwd())
        plan, sources = _make_plan(project, scenario, only, parse_variables(env or []), stack)
        try:
            serve(plan, sources, project, engine)
        except Terminated:
            raise typer.Exit(EXIT_UNKNOWN) from None


def _make_plan(
    project: Project, scenario: str, only: str | None, chosen: Variables, stack: StackKind
) -> tuple[Plan, Sources]:
    overrides = Overrides(only=parse_names(only), env=chosen.given, pass_env=chosen.passed, stack=stack.value)
    return make_plan(project, scenario, overrides)


@app.command(epilog="Example: brokenpipe down")
def down() -> None:
    """End the stack that `up` started."""
    from brokenpipe.drive import detached_stack

    with console.exiting_on_errors():
        stack_info = detached_stack.down(find_project(Path.cwd()))
        console.out.print(f"{stack_info.scenario}: ended" if stack_info else "Nothing stands.")
