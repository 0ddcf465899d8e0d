"""The commands. The only module of the harness that prints or ends its process.

0 pass   1 fail   2 usage or bad scenario   3 unknown   4 the stack did not start   130 Ctrl-C
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from brokenpipe import __version__
from brokenpipe.asked_to_end import EXIT_INTERRUPTED, EXIT_UNKNOWN, AskedToEnd
from brokenpipe.errors import BrokenpipeError, UsageError
from brokenpipe.options import (
    AtMostOption,
    EnvOption,
    IsolateOption,
    OnlyOption,
    RelabelledOption,
    ReportsOption,
    RunsOption,
    ScenarioArgument,
    SeedOption,
    StackKind,
    UntilDecidedOption,
    UsersOption,
    names,
    variables,
)
from brokenpipe.plan.plan import Overrides, Plan, Sources, make_plan
from brokenpipe.plan.project import Project, find_project

_EXIT_OF = {"pass": 0, "fail": 1, "unknown": EXIT_UNKNOWN}

app = typer.Typer(
    help="Find out which pool settings survive which failure of the connection to Postgres, and what they cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        out.print(f"brokenpipe {__version__}")
        raise typer.Exit


@app.command(
    epilog="Examples: brokenpipe run default --users 20 --env DB_DRIVER=psycopg | "
    "brokenpipe run default --until-decided --at-most 48"
)
def run(
    scenario: ScenarioArgument,
    users: UsersOption = None,
    seed: SeedOption = None,
    only: OnlyOption = None,
    env: EnvOption = None,
    stack: Annotated[StackKind, typer.Option(help="Where the stack runs.")] = StackKind.LOCAL,
    isolate: IsolateOption = False,
    until_decided: UntilDecidedOption = False,
    at_most: AtMostOption = None,
    reports: ReportsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the timeline and stop.")] = False,
) -> None:
    """Run one experiment: start the stack, drive the load, break the wire, write the report."""
    with _answering_for_errors():
        if stack is StackKind.COMPOSE:
            raise UsageError(
                "--stack compose: containers are not supported by this version",
                remedy="Leave --stack out: the local stack needs neither Docker nor an installed database.",
            )
        project = find_project(Path.cwd())
        overrides = Overrides(users, seed, names(only), variables(env or []), isolate, until_decided, at_most)
        plan, sources = make_plan(project, scenario, overrides)
        if dry_run:
            from brokenpipe.report.forecast import forecast

            for renderable in forecast(plan, sources):
                out.print(renderable, soft_wrap=isinstance(renderable, str))
            raise typer.Exit
        raise typer.Exit(_run(plan, sources, project, reports or project.reports))


def _run(plan: Plan, sources: Sources, project: Project, reports: Path) -> int:
    """The exit code of an experiment that was run, measured and reported."""
    from brokenpipe.drive.folder import command_line, new_report_folder, write_plan
    from brokenpipe.drive.run import Run, Terminated
    from brokenpipe.drive.run import run as run_experiment
    from brokenpipe.measure.measure import open_phases
    from brokenpipe.report.live import display_for

    asked, code = AskedToEnd(Terminated, on_terminal=out.is_terminal), EXIT_UNKNOWN
    try:
        folder = new_report_folder(reports, plan.stem)
        write_plan(folder, plan, sources)
        try:
            with display_for(out) as shown:
                what = Run(plan, sources, project, folder, command_line(), shown.show, open_phases)
                run_experiment(what)
                asked.only_noted = True  # from here on the report is finished in any case
        except BrokenpipeError as error:
            asked.only_noted = True
            _complain(error)
            _report_what_there_is(folder)
            code = error.exit_code
        else:
            code = _report(folder)
    except Terminated:  # before anything was begun
        err.print("terminated")
    return code if asked.exit_code is None else asked.exit_code


@app.command(epilog="Example: brokenpipe report reports/default/latest")
def report(
    runs: Annotated[list[Path], typer.Argument(help="A report folder.", metavar="RUN…")],
) -> None:
    """Make the report of a recorded experiment again, from its folder alone."""
    with _answering_for_errors():
        if len(runs) > 1:
            raise UsageError(
                f"{len(runs)} folders given: this version cannot compare reports",
                remedy="Give one folder.",
            )
        _report(runs[0])


def _report(folder: Path) -> int:
    """Measure, write summary.json and report.html, print the end of a run. The verdict's exit code.

    Of a run without a phase there is nothing to tabulate: only the last line is printed, below its error.
    """
    from brokenpipe.drive.folder import cannot_write
    from brokenpipe.measure.measure import measure
    from brokenpipe.report.html import write_html
    from brokenpipe.report.summary import write_summary
    from brokenpipe.report.terminal import closing, conclusion

    findings = measure(folder)
    page = folder / "report.html"
    try:
        write_summary(findings, folder / "summary.json")
        write_html(findings, page)
    except OSError as error:
        raise cannot_write(folder, error) from error
    out.print(conclusion(findings, page, out) if findings.phases else closing(findings, page), crop=False)
    return _EXIT_OF[findings.verdict.value]


def _report_what_there_is(folder: Path) -> None:
    """After a failure: what was recorded is reported if that is possible, and never hides the failure."""
    try:
        _report(folder)
    except BrokenpipeError as error:
        _complain(error)


@app.command(epilog="Example: brokenpipe calibrate --runs 10")
def calibrate(
    scenario: ScenarioArgument = "equal_arms",
    runs: RunsOption = 0,
    relabelled: RelabelledOption = 1000,
    reports: ReportsOption = None,
) -> None:
    """How often does this machine see a difference between arms that are all the same?"""
    from brokenpipe.measure import calibration
    from brokenpipe.report.calibration import as_table

    with _answering_for_errors():
        project = find_project(Path.cwd())
        plan, _ = make_plan(project, scenario, Overrides())
        calibration.equal_arms(plan.scenario)
        recorded = (reports or project.reports) / plan.stem
        for _ in range(runs):
            before = len(calibration.finished_runs(recorded))
            code = _run(*make_plan(project, scenario, Overrides(seed=1 + before)), project, recorded.parent)
            if len(calibration.finished_runs(recorded)) == before:  # it was ended, or could not run
                raise typer.Exit(code)
        found = calibration.calibrate(recorded, relabelled)
        out.print(as_table(found))
        out.print(f"Counted was every finished run in {recorded}.", soft_wrap=True)
        raise typer.Exit(0 if found.holds else 1)


@app.command(name="list", epilog="Example: brokenpipe list")
def list_(reports: ReportsOption = None) -> None:
    """What there is: scenarios, targets, faults, reports."""
    from brokenpipe.report.inventory import inventory

    with _answering_for_errors():
        project = find_project(Path.cwd())
        for renderable in inventory(project, reports or project.reports):
            out.print(renderable)


@app.command(epilog="Example: brokenpipe doctor")
def doctor() -> None:
    """Is this machine able to measure? Versions, ports, and every fault tried on raw sockets."""
    from brokenpipe.drive.doctor import examine

    with _answering_for_errors():
        good = True
        for finding in examine(find_project(Path.cwd())):
            good &= finding.good
            mark = Text("ok  ", style="green") if finding.good else Text("BAD ", style="bold red")
            out.print(mark + Text(f"{finding.what}: {finding.found}"))
            if not finding.good:
                out.print(Text(f"     {finding.remedy}", style="yellow"))
        out.print("This machine can measure." if good else "This machine cannot be trusted to measure now.")
        raise typer.Exit(0 if good else EXIT_UNKNOWN)


@app.command(epilog="Example: brokenpipe up default --only plain,pre_ping")
def up(scenario: ScenarioArgument = "default", only: OnlyOption = None, env: EnvOption = None) -> None:
    """Start the stack of a scenario and leave it running: to look at, or to break by hand."""
    from brokenpipe.drive import hold

    with _answering_for_errors():
        project = find_project(Path.cwd())
        make_plan(project, scenario, Overrides(only=names(only), env=variables(env or [])))
        arguments = [scenario, *(["--only", only] if only else []), *(f"--env={each}" for each in env or [])]
        with out.status("starting the stack"):
            note = hold.up(project, arguments)
        table = Table("arm", "target", "its proxy", title=f"{note.scenario} stands", title_justify="left")
        for arm, url in note.targets.items():
            table.add_row(arm, url, note.proxies[arm])
        out.print(table)
        out.print(f"Toxiproxy's API: {note.toxiproxy}   Postgres: {note.postgres}")
        out.print("End it with: brokenpipe down")


@app.command(hidden=True)
def keep(scenario: ScenarioArgument, only: OnlyOption = None, env: EnvOption = None) -> None:
    """Hold the stack until SIGTERM: the process behind `up`."""
    from brokenpipe.drive.hold import keep as keep_standing
    from brokenpipe.drive.run import Terminated

    def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    with _answering_for_errors():
        project = find_project(Path.cwd())
        overrides = Overrides(only=names(only), env=variables(env or []))
        plan, sources = make_plan(project, scenario, overrides)
        try:
            keep_standing(plan, sources, project)
        except Terminated:
            raise typer.Exit(EXIT_UNKNOWN) from None


@app.command(epilog="Example: brokenpipe down")
def down() -> None:
    """End the stack that `up` started."""
    from brokenpipe.drive import hold

    with _answering_for_errors():
        note = hold.down(find_project(Path.cwd()))
        out.print(f"{note.scenario}: ended" if note else "Nothing stands.")


@app.command(epilog="Example: brokenpipe build")
def build() -> None:
    """Build the Toxiproxy server if its sources have changed. `make setup` does this."""
    from brokenpipe.stack.toolchain import toxiproxy_binary

    with _answering_for_errors():
        out.print(f"{toxiproxy_binary(find_project(Path.cwd()).proxies)}", soft_wrap=True)


@app.command(epilog="Example: brokenpipe schema > scenarios/scenario.schema.json")
def schema() -> None:
    """Print the JSON Schema of scenarios, for editors. `make schema` writes it to its file."""
    import json

    from brokenpipe.plan.schema import scenario_schema

    typer.echo(json.dumps(scenario_schema(), indent=2, ensure_ascii=False))


# --- what the commands share --------------------------------------------------------------------------


@contextmanager
def _answering_for_errors() -> Iterator[None]:
    try:
        yield
    except BrokenpipeError as error:
        _complain(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _complain(error: BrokenpipeError) -> None:
    # Never wrapped by us: a path cut in two can neither be copied nor searched for.
    err.print(Text("error: ", style="bold red") + Text(error.message), soft_wrap=True)
    for line in error.details:
        err.print(Text(f"  {line}"), soft_wrap=True)
    if error.remedy:
        err.print(Text(f"→ {error.remedy}", style="yellow"), soft_wrap=True)


def main() -> None:
    """The program. A defect of ours keeps its traceback, and is no verdict on the service: it exits 3."""
    try:
        app()
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        sys.exit(EXIT_UNKNOWN)
