"""`run`, `soak` and `calibrate`: the commands that record runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from brokenpipe.commands import console
from brokenpipe.commands.options import (
    AtMostOption,
    BaselineOption,
    DryRunOption,
    DurationOption,
    EngineOption,
    EnvOption,
    HtmlOption,
    IsolateOption,
    MasterBindOption,
    OnlyOption,
    RelabelledOption,
    ReportsOption,
    RunsOption,
    ScenarioArgument,
    SeedOption,
    StackKind,
    StackOption,
    UntilDecidedOption,
    UsersOption,
    WebOption,
    WebPortOption,
    WorkersOption,
    duration_s,
    engine_for,
    parse_address,
    parse_names,
    parse_variables,
)
from brokenpipe.commands.reporting.baseline import load_baseline
from brokenpipe.commands.running.execute import execute_run
from brokenpipe.commands.running.network_namespace import enter_namespace, reject_external
from brokenpipe.commands.running.web import run_web
from brokenpipe.errors import UsageError
from brokenpipe.load.config import Bind
from brokenpipe.plan.plan import Overrides, make_plan
from brokenpipe.plan.project import Project, find_project
from brokenpipe.plan.secrets.passed_variables import require_passed

app = typer.Typer()


@app.command(
    epilog="Examples: brokenpipe run default --users 20 --env DB_DRIVER=psycopg | "
    "brokenpipe run default --until-decided --at-most 48 | "
    "brokenpipe run quick --baseline reports/quick/20260314T092653Z | brokenpipe run quick --web | "
    "brokenpipe run quick --workers 2"
)
def run(
    scenario: ScenarioArgument,
    users: UsersOption = None,
    workers: WorkersOption = None,
    master_bind: MasterBindOption = None,
    seed: SeedOption = None,
    only: OnlyOption = None,
    env: EnvOption = None,
    stack: StackOption = StackKind.LOCAL,
    engine: EngineOption = None,
    isolate: IsolateOption = False,
    until_decided: UntilDecidedOption = False,
    at_most: AtMostOption = None,
    baseline: BaselineOption = None,
    reports: ReportsOption = None,
    html: HtmlOption = True,
    web: WebOption = False,
    web_port: WebPortOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run one experiment: start the stack, drive the load, break the wire, write the report."""
    with console.exiting_on_errors():
        if stack is StackKind.COMPOSE and master_bind is not None:
            raise UsageError(
                "--master-bind: not with --stack compose, whose containers cannot be reached from other machines",
                remedy="Leave one of them out.",
            )
        project = find_project(Path.cwd())
        chosen = parse_variables(env or [])
        overrides = Overrides(
            users, seed, parse_names(only), chosen.given, isolate, until_decided, at_most, workers,
            stack=stack.value, pass_env=chosen.passed,
        )  # fmt: skip
        if web and (workers is not None or master_bind is not None or baseline is not None):
            raise UsageError(
                "--web: not with --workers, --master-bind or --baseline, since its users come and go by hand",
                remedy="Leave one of them out.",
            )
        engine = engine_for(stack, engine, check=not dry_run)
        if web:
            plan, sources = make_plan(project, scenario, overrides)
            reject_external(plan, "--web")
        if web and not dry_run:
            require_passed(plan)
            enter_namespace(plan, project)
            raise typer.Exit(run_web(plan, sources, project, reports or project.reports, web_port, engine))
        if web_port is not None and not web:
            raise UsageError(f"--web-port {web_port}: goes with --web", remedy="Add --web, or leave it out.")
        bind = None if master_bind is None else Bind(*parse_address(master_bind, "--master-bind"))
        plan_and_play(
            project, scenario, overrides, reports, baseline, bind, engine=engine, html=html, dry_run=dry_run
        )


@app.command(
    epilog="Examples: brokenpipe soak default --duration 2h --users 40 | brokenpipe soak quick --stack compose"
)
def soak(
    scenario: ScenarioArgument = "default",
    duration: DurationOption = "30m",
    users: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Users of each arm; default: twice the scenario's.")
    ] = None,
    workers: WorkersOption = None,
    seed: SeedOption = None,
    only: OnlyOption = None,
    env: EnvOption = None,
    stack: StackOption = StackKind.LOCAL,
    engine: EngineOption = None,
    baseline: BaselineOption = None,
    reports: ReportsOption = None,
    html: HtmlOption = True,
    dry_run: DryRunOption = False,
) -> None:
    """Play a scenario's phases round after round, at twice its users: what shows only after a while?"""
    with console.exiting_on_errors():
        project = find_project(Path.cwd())
        chosen = parse_variables(env or [])
        overrides = Overrides(
            users,
            seed,
            parse_names(only),
            chosen.given,
            pass_env=chosen.passed,
            workers=workers,
            stack=stack.value,
            soak_s=float(duration_s(duration)),
        )
        engine = engine_for(stack, engine, check=not dry_run)
        plan_and_play(
            project, scenario, overrides, reports, baseline, engine=engine, html=html, dry_run=dry_run
        )


def plan_and_play(
    project: Project,
    scenario: str,
    overrides: Overrides,
    reports: Path | None,
    baseline: Path | None,
    bind: Bind | None = None,
    *,
    engine: str | None = None,
    html: bool,
    dry_run: bool,
) -> NoReturn:
    """Read everything, and play it unless it is a dry run."""
    plan, sources = make_plan(project, scenario, overrides)
    if bind is not None:
        reject_external(plan, "--master-bind")
    held = load_baseline(plan, baseline)
    if dry_run:
        from brokenpipe.report.terminal.dry_run import dry_run_lines

        for renderable in dry_run_lines(plan, sources):
            console.out.print(renderable, soft_wrap=isinstance(renderable, str))
        raise typer.Exit
    require_passed(plan)
    enter_namespace(plan, project)
    raise typer.Exit(
        execute_run(plan, sources, project, reports or project.reports, held, bind, engine, html=html)
    )


@app.command(epilog="Example: brokenpipe calibrate --runs 10")
def calibrate(
    scenario: ScenarioArgument = "equal_arms",
    runs: RunsOption = 0,
    relabelled: RelabelledOption = 1000,
    stack: StackOption = StackKind.LOCAL,
    engine: EngineOption = None,
    reports: ReportsOption = None,
    html: HtmlOption = True,
) -> None:
    """How often does this machine see a difference between arms that are all the same?"""
    from brokenpipe.measure import calibration
    from brokenpipe.report.terminal.calibration import calibration_table

    with console.exiting_on_errors():
        project = find_project(Path.cwd())
        plan, _ = make_plan(project, scenario, Overrides(stack=stack.value))
        calibration.demand_equal_arms(plan.scenario)
        if runs:
            require_passed(plan)
        engine = engine_for(stack, engine, check=runs > 0)
        if runs:
            enter_namespace(plan, project)
        recorded = (reports or project.reports) / plan.stem
        for _ in range(runs):
            before = len(calibration.finished_runs(recorded, stack.value))
            overrides = Overrides(seed=1 + before, stack=stack.value)
            code = execute_run(
                *make_plan(project, scenario, overrides), project, recorded.parent, engine=engine, html=html
            )
            after = len(calibration.finished_runs(recorded, stack.value))
            if after == before:  # it was ended, or could not run
                raise typer.Exit(code)
        found = calibration.calibrate(recorded, relabelled, stack.value)
        console.out.print(calibration_table(found))
        where = "" if stack is StackKind.LOCAL else " with the stack in containers"
        console.out.print(f"Counted was every finished run in {recorded}{where}.", soft_wrap=True)
        raise typer.Exit(0 if found.holds else 1)
