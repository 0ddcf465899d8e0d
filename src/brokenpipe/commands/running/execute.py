"""Runs an experiment, measures and reports it however it ends, and returns the exit code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from brokenpipe.commands import console
from brokenpipe.commands.reporting.baseline import store_baseline
from brokenpipe.commands.reporting.report import report_after_failure
from brokenpipe.commands.running.report_process import ReportProcess
from brokenpipe.commands.signals import EXIT_UNKNOWN, InterruptHandler
from brokenpipe.errors import BrokenpipeError
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.progress import Progress

if TYPE_CHECKING:  # what drives and measures is slow to import, and `--help` does without
    from brokenpipe.drive.runner import RunSpec
    from brokenpipe.load.config import Bind
    from brokenpipe.measure.regression.baseline import Baseline
    from brokenpipe.measure.resume_state import ResumeState


def execute_run(
    plan: Plan,
    sources: Sources,
    project: Project,
    reports: Path,
    baseline: Baseline | None = None,
    master_bind: Bind | None = None,
    engine: str | None = None,
    *,
    html: bool = True,
) -> int:
    """Run a plan in a new folder below `reports` and report it, compared with the baseline. Returns the exit code.

    `html`: whether the report has its page.
    """

    def make_spec() -> RunSpec:
        from brokenpipe.drive.run_folder import command_line, new_report_folder, write_plan
        from brokenpipe.drive.runner import RunSpec

        folder = new_report_folder(reports, plan.stem)
        folders.append(folder)
        write_plan(folder, plan, sources)
        store_baseline(folder, baseline)
        return RunSpec(
            plan, sources, project, folder, command_line(), open_phases=_open_phases,
            master_bind=master_bind, engine=engine,
        )  # fmt: skip

    folders: list[Path] = []
    try:
        return _run_and_report(make_spec, html)
    finally:
        _remove_if_not_begun(folders)


def _open_phases(folder: Path) -> Collection[str]:
    """Imported when it is asked for first: most runs never ask, and it brings all that measures."""
    from brokenpipe.measure.pipeline import open_phases

    return open_phases(folder)


def _remove_if_not_begun(folders: Sequence[Path]) -> None:
    from brokenpipe.drive.run_folder import remove_if_not_begun

    for folder in folders:
        remove_if_not_begun(folder)


def resume_run(
    state: ResumeState,
    sources: Sources,
    project: Project,
    folder: Path,
    engine: str | None = None,
    *,
    html: bool = True,
) -> int:
    """Play the rest of an interrupted experiment in its own folder, and report it. Returns the exit code."""

    def make_spec() -> RunSpec:
        from brokenpipe.drive.run_folder import command_line
        from brokenpipe.drive.runner import RunSpec

        return RunSpec(
            state.plan, sources, project, folder, command_line(), open_phases=_open_phases,
            part=state.part, remaining=state.remaining, played=state.played, engine=engine,
        )  # fmt: skip

    return _run_and_report(make_spec, html)


def _run_and_report(make_spec: Callable[[], RunSpec], html: bool) -> int:
    from brokenpipe.drive.run_session import Terminated

    interrupts, code = InterruptHandler(Terminated, on_terminal=console.out.is_terminal), EXIT_UNKNOWN
    try:
        spec = make_spec()
        with ReportProcess(html) as report:
            code = _report_on(spec, report, interrupts, html)
    except Terminated:  # before the run began
        console.err.print("terminated")
    return code if interrupts.exit_code is None else interrupts.exit_code


def _report_on(spec: RunSpec, report: ReportProcess, interrupts: InterruptHandler, html: bool) -> int:
    """Run and report, also after an error, whose exit code it has then."""
    try:
        _run(spec, report, interrupts)
    except BrokenpipeError as error:
        if report.told:  # the run was over, and something did not end
            raise
        console.print_error(error)
        report_after_failure(spec.folder, html)
        return error.exit_code
    return report.write_report(spec.folder)


def _run(spec: RunSpec, report: ReportProcess, interrupts: InterruptHandler) -> None:
    from brokenpipe.drive.runner import record_experiment
    from brokenpipe.report.terminal.progress import display_for

    def show(progress: Progress) -> None:
        display.show(progress)
        report.prepare(progress)

    with console.converting_shortages(), ExitStack() as remains:
        try:
            with display_for(console.out) as display:
                record_experiment(replace(spec, on_progress=show), remains)
        finally:
            interrupts.finishing = True  # from here on a signal does not stop the report
        report.begin(spec.folder)  # what remains of the stack ends beside it
