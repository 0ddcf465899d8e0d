"""From a plan to an exit code: an experiment that is run, measured and reported, however it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brokenpipe.commands import console
from brokenpipe.commands.asked_to_end import EXIT_UNKNOWN, AskedToEnd
from brokenpipe.commands.baselines import keep_baseline
from brokenpipe.commands.reporting import report_what_there_is, write_report
from brokenpipe.errors import BrokenpipeError
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project

if TYPE_CHECKING:  # it brings DuckDB and scipy along, which `--help` does without
    from brokenpipe.measure.baseline import Baseline


def carry_out(
    plan: Plan, sources: Sources, project: Project, reports: Path, baseline: Baseline | None = None
) -> int:
    """Run it in a new folder below `reports` and report it, held against the baseline. The exit code."""
    from brokenpipe.drive.folder import command_line, new_report_folder, write_plan
    from brokenpipe.drive.run import Run, Terminated
    from brokenpipe.drive.run import run as run_experiment
    from brokenpipe.measure.measure import open_phases
    from brokenpipe.report.live import display_for

    asked, code = AskedToEnd(Terminated, on_terminal=console.out.is_terminal), EXIT_UNKNOWN
    try:
        folder = new_report_folder(reports, plan.stem)
        write_plan(folder, plan, sources)
        keep_baseline(folder, baseline)
        try:
            with display_for(console.out) as shown:
                what = Run(plan, sources, project, folder, command_line(), shown.show, open_phases)
                run_experiment(what)
                asked.only_noted = True  # from here on the report is finished in any case
        except BrokenpipeError as error:
            asked.only_noted = True
            console.complain(error)
            report_what_there_is(folder)
            code = error.exit_code
        else:
            code = write_report(folder)
    except Terminated:  # before anything was begun
        console.err.print("terminated")
    return code if asked.exit_code is None else asked.exit_code
