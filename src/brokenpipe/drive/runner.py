"""One experiment from first process to last: stack, certificate, load, timeline, and how it ended."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from brokenpipe.drive.empty_databases import describe_empty_databases
from brokenpipe.drive.locust.process import LocustProcess, locust_process
from brokenpipe.drive.open_files import check_open_files
from brokenpipe.drive.run_folder import (
    locked,
    point_latest_at,
    write_environment,
    write_stack_versions,
)
from brokenpipe.drive.run_session import (
    Recording,
    RunSession,
    ledger_begun,
    load_config,
    recording,
    run_session,
)
from brokenpipe.drive.self_test.stack import self_test_on_stack
from brokenpipe.drive.timeline import Outcome, TimelinePlayer
from brokenpipe.errors import UsageError
from brokenpipe.history.file_names import first_file, last_part
from brokenpipe.history.fsync import Fsyncer
from brokenpipe.history.records import ClockOffset, RecordedDoubt, Resumed, RunEnding
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer
from brokenpipe.load.config import Bind, LoadConfig
from brokenpipe.load.messages import WorkerClockOffset
from brokenpipe.plan.endings import first_ending
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.plan.sequential import EpisodeRange, next_ranges, remaining_ranges
from brokenpipe.plan.soak_rounds import soak_ranges
from brokenpipe.progress import Progress
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.processes.standstill import ending_stopped_processes
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Stack
from brokenpipe.stack.start import start_stack

LOAD_READY_S = 60.0
WORKERS_JOIN_S = 600.0  # time to start workers on other machines
START_UP_S = 4.0  # measured with four arms; only for the forecast


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One experiment to run: its plan, its report folder, and the callback for its progress."""

    plan: Plan
    sources: Sources
    project: Project
    folder: Path
    command: str
    on_progress: Callable[[Progress], None] = lambda _: None
    open_phases: Callable[[Path], Collection[str]] | None = None
    """The phases in which more episodes could decide what is undecided, given the report folder. None: never asked."""
    part: int = 1
    """Above 1: the experiment was interrupted, and this part continues it in the same folder."""
    remaining: tuple[EpisodeRange, ...] | None = None
    """The episodes that remain to be played; None: all of the plan."""
    played: Mapping[str, int] = field(default_factory=dict)
    """Number of episodes of each phase that earlier parts finished."""
    master_bind: Bind | None = None
    """The address at which load workers on other machines join, and targets listen. None: loopback only."""
    engine: str | None = None
    """The Docker engine of a stack in containers; None: the active one."""
    started: float = field(default_factory=time.monotonic)

    @property
    def episode_ranges(self) -> tuple[EpisodeRange, ...]:
        """The episodes to play, in order."""
        return self.plan.episode_ranges if self.remaining is None else self.remaining

    def file(self, writer: str) -> Path:
        """The history file of one writer."""
        return first_file(self.folder, writer, self.part)

    @property
    def total_s(self) -> float:
        """Forecast of the whole run, in seconds."""
        return START_UP_S + sum(
            episode_range.forecast_of(self.plan.scenario) for episode_range in self.episode_ranges
        )

    def report_step(self, message: str) -> None:
        """Report a step outside of phases, such as starting the stack."""
        elapsed_s = time.monotonic() - self.started
        self.on_progress(Progress(message=message, elapsed_s=elapsed_s, total_s=self.total_s))


def record_experiment(spec: RunSpec, remains: ExitStack) -> RunEnding:
    """Run the experiment and return how it ended; its history is complete up to that moment.

    Parts that record nothing, such as Postgres, end with `remains`: the report needs only the history, and can be made
    meanwhile. Raises StackError, UsageError (the locustfile) or RecordingError, after the other parts were taken down.
    """
    if spec.part == 1:  # Before anything else: a folder that has a history must be readable.
        write_environment(spec.folder, spec.plan, spec.sources, spec.command)
    with locked(spec.folder):
        _require_next_part(spec)
        return _record_run(spec, remains)


def _require_next_part(spec: RunSpec) -> None:
    """Raises UsageError if another command recorded a part after this one was planned, before the lock."""
    recorded = last_part(spec.folder)
    if recorded != spec.part - 1:
        raise UsageError(
            f"{spec.folder}: part {spec.part} was to be recorded, and there are {recorded} parts by now: another "
            "command has gone on with this run",
            remedy="Look at what it came to, and resume again if something is left.",
        )


def _record_run(spec: RunSpec, remains: ExitStack) -> RunEnding:
    """Run the experiment in a folder that is locked for this process."""
    with recording(spec.folder, spec.part, absorb_signals=True) as run:
        if spec.part == 1:
            point_latest_at(spec.folder)
        else:
            run.log.write(Resumed(t=time.monotonic_ns(), part=spec.part, command=spec.command))
        run.ending = _play_recorded(spec, run, remains)
    return run.ending


def _play_recorded(spec: RunSpec, run: Recording, remains: ExitStack) -> Outcome:
    """Play what remains of the experiment."""
    if not spec.episode_ranges and not spec.plan.looks:
        return "done"  # all was played, and only its end is missing
    run_janitor = remains.enter_context(
        janitor(secrets.token_hex(8), partial(record_janitor_replaced, run.log))
    )
    show = partial(_check_then_show, run.fsyncer, run_janitor, spec.on_progress)
    return _execute(replace(spec, on_progress=show), run_janitor, run.log, remains)


def record_janitor_replaced(log: Writer, text: str) -> None:
    """Record that the janitor was replaced. Raises RecordingError."""
    log.write(RecordedDoubt.of(Code.JANITOR_LOST, text))


def _check_then_show(
    fsyncer: Fsyncer, run_janitor: Janitor, show: Callable[[Progress], None], progress: Progress
) -> None:
    """Show the progress, after checking that the disk still takes records and the janitor still runs."""
    fsyncer.check()
    run_janitor.check()
    show(progress)


def _execute(spec: RunSpec, run_janitor: Janitor, log: Writer, remains: ExitStack) -> Outcome:
    check_open_files(spec.plan)
    with (
        start_stack(_stack_spec(spec, run_janitor, remains)) as stack,
        _load(spec, stack, run_janitor, log) as load,
    ):
        with ending_stopped_processes():
            if spec.part == 1:
                write_stack_versions(spec.folder, stack)
            _test_faults(spec, stack, load, log)
        with ledger_begun(spec.plan, spec.sources, spec.folder, stack, log, spec.part) as ledger:
            with ending_stopped_processes():
                _wait_for_users(spec, load)
            with run_session(
                spec.plan, spec.folder, stack, load, ledger, log, run_janitor, spec.part
            ) as session:
                outcome = _play(spec, session)
        spec.report_step("stopping")
        if load.stopping:
            _stop_together(load, stack)
        return outcome


def _stop_together(load: LocustProcess, stack: Stack) -> None:
    """End Locust, whose requests are all over, and the targets side by side."""
    with ThreadPoolExecutor(1, "stop") as executor:
        stopped = executor.submit(load.stop)
        stack.stop_targets()
    stopped.result()


def _load(
    spec: RunSpec, stack: Stack, run_janitor: Janitor, log: Writer
) -> AbstractContextManager[LocustProcess]:
    spec.report_step("starting Locust")
    return locust_process(
        _load_config(spec, stack),
        spec.folder / "logs" / "load.log",
        run_janitor,
        on_aligned=partial(_record_offset, log),
        bind=spec.master_bind,
    )


def _test_faults(spec: RunSpec, stack: Stack, load: LocustProcess, log: Writer) -> None:
    """Test the faults of the plan while targets and Locust start. Returns when all targets are ready."""
    spec.report_step("probing what each fault does on this machine")
    faults = [phase.fault for phase in spec.plan.scenario.phases if phase.fault]

    def settle() -> None:
        stack.await_targets()
        if spec.master_bind is None:
            load.wait_ready(LOAD_READY_S)

    for result in self_test_on_stack(faults, stack, settle):
        log.write(result)
    stack.await_targets()
    if empty := describe_empty_databases(stack):
        spec.report_step(empty)


def _stack_spec(spec: RunSpec, run_janitor: Janitor, remains: ExitStack) -> StackSpec:
    return StackSpec(
        spec.plan,
        project=spec.project,
        target_folder=spec.sources.target_folder,
        other_folders=spec.sources.other_folders,
        report=spec.folder,
        janitor=run_janitor,
        on_step=spec.report_step,
        part=spec.part,
        rst_on_close=first_ending(episode_range.phase for episode_range in spec.episode_ranges) == "reset",
        host=spec.master_bind.host if spec.master_bind else LOOPBACK,
        engine=spec.engine,
        await_targets=False,
        remains=remains if spec.plan.stack == "local" else None,  # containers end with their network
    )


def _load_config(spec: RunSpec, stack: Stack) -> LoadConfig:
    urls = {name: arm.service.url for name, arm in stack.arms.items()}
    workers = spec.plan.scenario.load.workers
    return replace(
        load_config(spec.plan, spec.sources, urls, spec.file("requests")),
        part=spec.part,
        workers=workers if workers > 1 or spec.master_bind else 0,
    )


def _wait_for_users(spec: RunSpec, load: LocustProcess) -> None:
    if spec.master_bind is None:
        load.wait_ready(LOAD_READY_S)
        return
    count = spec.plan.scenario.load.workers
    spec.report_step(
        f"waiting for {count} workers: `brokenpipe worker --master {spec.master_bind}` on their machines"
    )
    load.wait_ready(WORKERS_JOIN_S)


def _record_offset(log: Writer, measured: WorkerClockOffset) -> None:
    """Record the clock offset of a worker at once: without it the worker's times mean nothing."""
    log.write(ClockOffset(time.monotonic_ns(), measured.worker, measured.offset_ns, measured.error_ns))


def _play(spec: RunSpec, session: RunSession) -> Outcome:
    outcome = TimelinePlayer(
        session=session,
        scenario=spec.plan.scenario,
        episode_ranges=spec.episode_ranges,
        played_before=spec.played,
        on_progress=spec.on_progress,
        started=spec.started,
        total_s=spec.total_s,
        next_ranges=_extension(spec),
    ).run()
    if outcome == "done" and session.load.drained:
        session.load.begin_to_stop()  # it ends while the ledger is read
    if spec.plan.arms_with_ledger:
        spec.report_step("reading the ledger")
    session.end()
    return outcome


def _extension(spec: RunSpec) -> Callable[[Mapping[str, int]], Sequence[EpisodeRange]] | None:
    """The function that returns more episodes once all planned ones are played; None: there are no more."""
    if spec.plan.looks:
        return partial(_next_analysis, spec)
    if spec.plan.soak_s is not None:
        return partial(rounds_that_fit, spec, time.monotonic())
    return None


def rounds_that_fit(spec: RunSpec, began: float, played: Mapping[str, int]) -> Sequence[EpisodeRange]:
    """More episodes of a soak, if the time left has room for them because earlier ones took less than forecast."""
    plan = spec.plan
    assert plan.soak_s is not None
    planned_s = sum(episode_range.forecast_of(plan.scenario) for episode_range in spec.episode_ranges)
    left_s = planned_s - (time.monotonic() - began)
    more = remaining_ranges(soak_ranges(plan.scenario, plan.soak_s + max(0.0, left_s)), played)
    return tuple(
        episode_range for episode_range in more[:1] if episode_range.forecast_of(plan.scenario) <= left_s
    )


def _next_analysis(spec: RunSpec, played: Mapping[str, int]) -> Sequence[EpisodeRange]:
    """Episodes up to the next interim analysis. Nothing is analysed when no phase may get more episodes."""
    plan = spec.plan
    if spec.open_phases is None or not next_ranges(plan.scenario, plan.looks, played, plan.looks):
        return ()
    spec.report_step("looking whether everything is decided")
    return next_ranges(plan.scenario, plan.looks, played, spec.open_phases(spec.folder))
