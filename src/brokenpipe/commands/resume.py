"""`resume`: the command that finishes an interrupted run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.options import HtmlOption, StackKind, engine_for
from brokenpipe.commands.running.execute import resume_run
from brokenpipe.commands.running.network_namespace import enter_namespace
from brokenpipe.errors import UsageError
from brokenpipe.faults import check_plugins
from brokenpipe.plan.plan import sources_of
from brokenpipe.plan.project import find_project
from brokenpipe.plan.secrets.passed_variables import require_passed
from brokenpipe.plan.secrets.restored_plan import restore_secrets

if TYPE_CHECKING:  # it brings DuckDB and scipy along, which `--help` does without
    from brokenpipe.measure.resume_state import ResumeState

app = typer.Typer()


@app.command(epilog="Example: brokenpipe resume reports/default/latest")
def resume(
    report: Annotated[Path, typer.Argument(help="The report folder of a run that was cut off.")],
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Of a run in containers: another Docker engine than the active one."
        ),
    ] = None,
    html: HtmlOption = True,
) -> None:
    """Finish a run that was cut off: play what is left of it, into the same folder, and report all of it."""
    from brokenpipe.drive.run_folder import locked
    from brokenpipe.history.reader import require_folder
    from brokenpipe.measure.resume_state import read_resume_state
    from brokenpipe.measure.run_metadata import recorded_environment, recorded_packages, scenario_text

    with console.exiting_on_errors():
        project = find_project(Path.cwd())
        require_folder(report)
        folder = report.resolve()
        with locked(folder):
            state = read_resume_state(folder)
        if state.ended == "done":
            raise UsageError(
                f"{report}: this run was finished: nothing of it is left to play",
                remedy=f"`brokenpipe report {report}` makes its report again; `brokenpipe run` begins a new one.",
            )
        if state.plan.by_hand:
            raise UsageError(
                f"{report}: was run by hand: what else would have been done is not known",
                remedy=f"`brokenpipe report {report}` reports what was.",
            )
        check_plugins()
        if unknown := state.plan.scenario.unknown_faults:
            raise UsageError(
                f"{report}: its fault {unknown[0]} is not installed here",
                remedy=f"Install the distribution that has it; `brokenpipe report {report}` names it.",
            )
        if engine is not None and state.plan.stack == "local":
            raise UsageError(
                f"--engine {engine}: {report} had no containers, and is finished without",
                remedy="Leave it out.",
            )
        scenario_file = state.scenario_file or project.scenario_path(state.plan.stem)
        text = scenario_text(folder)
        sources = sources_of(project, scenario_file, text, state.plan)
        had = {arm: each.packages for arm, each in recorded_packages(recorded_environment(folder)).items()}
        state = replace(state, plan=restore_secrets(state.plan, sources).with_versions(had))
        require_passed(state.plan)
        engine = engine_for(
            StackKind(state.plan.stack), engine, check=bool(state.remaining or state.plan.looks)
        )
        enter_namespace(state.plan, project)
        console.out.print(f"It was {state.ended}. {_remaining_text(state)}", soft_wrap=True)
        raise typer.Exit(resume_run(state, sources, project, folder, engine, html=html))


def _remaining_text(state: ResumeState) -> str:
    """A line about what will be played."""
    from brokenpipe.formatting import plural

    if not state.remaining:
        return "All of it was played; what is missing is its end."
    episodes = sum(episode_range.count for episode_range in state.remaining)
    names = ", ".join(dict.fromkeys(episode_range.phase.name for episode_range in state.remaining))
    forecast_s = sum(episode_range.forecast_of(state.plan.scenario) for episode_range in state.remaining)
    return f"Left to play: {plural(episodes, 'episode')} of {names}, about {forecast_s:.0f} s."
