"""One experiment from first process to last: stack, certificate, load, timeline, and how it ended."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from brokenpipe.drive.gauges.liveness import LivenessCheck
from brokenpipe.drive.gauges.sampler import SampledProcess, sampling
from brokenpipe.drive.locust.process import LocustProcess, locust_process
from brokenpipe.drive.nemesis import nemesis
from brokenpipe.drive.open_files import check_open_files
from brokenpipe.drive.run_folder import locked, point_latest_at, write_environment
from brokenpipe.drive.self_test.commit import SITUATION, self_test_commits
from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.drive.timeline import Outcome, TimelinePlayer
from brokenpipe.drive.watch.process_states import JANITOR
from brokenpipe.drive.watch.wait_limit import WaitLimit
from brokenpipe.drive.watch.watch import SilenceMonitor, Watch, watching
from brokenpipe.drive.write_ledger_reader import LedgerReader, open_ledger
from brokenpipe.errors import UsageError
from brokenpipe.faults import Fault
from brokenpipe.history.file_names import file_of, last_part
from brokenpipe.history.fsync import Keeper, keeping
from brokenpipe.history.inventory import checksums, files_written
from brokenpipe.history.records import Doubt, Finish, Probe, Resumed, Sync
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer, writing
from brokenpipe.load.config import Bind, LoadConfig
from brokenpipe.load.messages import Aligned, Notice
from brokenpipe.plan.endings import first_ending
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.plan.sequential import EpisodeRange, next_ranges, remaining_ranges
from brokenpipe.plan.soak_rounds import soak_ranges
from brokenpipe.progress import Progress
from brokenpipe.stack.processes.janitor import Janitor, janitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.processes.standstill import ending_what_stands_still
from brokenpipe.stack.spec import Footing
from brokenpipe.stack.stack import Arm, Stack
from brokenpipe.stack.start import stack_on

LOAD_READY_S = 60.0
WORKERS_JOIN_S = 600.0  # for somebody to start workers on other machines
START_UP_S = 6.0  # measured with four arms; only for the forecast


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it is no error, so that nothing catches it by accident."""


Ending = Literal["done", "interrupted", "terminated", "failed", "stopped", "hung"]


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What is run, where it is recorded, and who is told how far it is."""

    plan: Plan
    sources: Sources
    project: Project
    folder: Path
    command: str
    on_progress: Callable[[Progress], None] = lambda _: None
    open_phases: Callable[[Path], Collection[str]] | None = None
    """Where more episodes could decide what is undecided, from the history so far. None: nobody looks."""
    part: int = 1
    """More than one: the experiment was cut off before, and goes on in the same folder."""
    left: tuple[EpisodeRange, ...] | None = None
    """What is still to be played of it; None: all."""
    played: Mapping[str, int] = field(default_factory=dict)
    """How many episodes of each phase were finished before."""
    master_bind: Bind | None = None
    """Where workers of the load join from elsewhere, and targets listen. None: nothing leaves the loopback."""
    engine: str | None = None
    """The Docker engine of a stack in containers; None: the active one."""
    started: float = field(default_factory=time.monotonic)

    @property
    def stretches(self) -> tuple[EpisodeRange, ...]:
        """What is played, in order."""
        return self.plan.stretches if self.left is None else self.left

    def file(self, writer: str) -> Path:
        """Where a writer's records go."""
        return file_of(self.folder, writer, self.part)

    @property
    def total_s(self) -> float:
        """How long all of it will take, as far as one can say before."""
        return START_UP_S + sum(stretch.forecast_of(self.plan.scenario) for stretch in self.stretches)

    def say(self, message: str) -> None:
        """Tell whoever watches what is being done outside of phases."""
        elapsed_s = time.monotonic() - self.started
        self.on_progress(Progress(message=message, elapsed_s=elapsed_s, total_s=self.total_s))


def run_experiment(what: RunSpec) -> Ending:
    """Run the experiment and say how it ended; its history is complete up to that moment.

    Raises StackError, UsageError (the locustfile) or RecordingError, after everything was taken down.
    """
    if what.part == 1:  # First of all: whatever has a history can be read.
        write_environment(what.folder, what.plan, what.sources, what.command, {})
    with locked(what.folder):
        _require_next_part(what)
        return _record_run(what)


def _require_next_part(what: RunSpec) -> None:
    """Raises UsageError if somebody else has gone on with it since it was looked at, before the folder was held."""
    found = last_part(what.folder)
    if found != what.part - 1:
        raise UsageError(
            f"{what.folder}: part {what.part} was to be recorded, and there are {found} parts by now: another command "
            "has gone on with this run",
            remedy="Look at what it came to, and resume again if something is left.",
        )


def _record_run(what: RunSpec) -> Ending:
    """Run it in a folder that nobody else may write to."""
    ending: Ending = "failed"
    with keeping(what.folder) as keeper, writing(what.file("experiment"), "experiment") as log:
        try:
            if what.part == 1:
                point_latest_at(what.folder)
            else:
                log.write(Resumed(t=time.monotonic_ns(), part=what.part, command=what.command))
            outcome: Outcome = "done"
            if what.stretches or what.plan.looks:  # else all was played, and only its end is missing
                with janitor(secrets.token_hex(8), partial(record_janitor_replaced, log)) as undo:
                    show = partial(_check_then_show, keeper, undo, what.on_progress)
                    outcome = _execute(replace(what, on_progress=show), undo, log)
            ending = outcome
        except KeyboardInterrupt:
            ending = "interrupted"
        except Terminated:
            ending = "terminated"
        finally:
            write_finish(log, ending, keeper)
    return ending


def write_finish(log: Writer, ending: Ending, keeper: Keeper) -> None:
    """The last line: how it ended, and what was written beside it. Raises RecordingError."""
    files = files_written(log.path.parent, but=log.path, seen=keeper.sizes)
    sums = checksums(log.path.parent, files, log.path)
    log.write(Finish(t=time.monotonic_ns(), how=ending, files=files, checksums=sums))


def record_janitor_replaced(log: Writer, text: str) -> None:
    """That the janitor was replaced. Raises RecordingError."""
    log.write(Doubt.of(Code.JANITOR_LOST, text))


def _check_then_show(
    keeper: Keeper, undo: Janitor, show: Callable[[Progress], None], progress: Progress
) -> None:
    """Go on only while the disk keeps what is recorded, and while there is a janitor."""
    keeper.check()
    undo.check()
    show(progress)


def _execute(what: RunSpec, undo: Janitor, log: Writer) -> Outcome:
    check_open_files(what.plan)
    with (
        stack_on(_stack_spec(what, undo)) as stack,
        _open_ledger(what, stack, log) as books,
    ):
        with ending_what_stands_still():
            books.begin()
            if what.part == 1:
                write_environment(what.folder, what.plan, what.sources, what.command, stack.versions)
            what.say("probing what each fault does on this machine")
            faults = [phase.fault for phase in what.plan.scenario.phases if phase.fault]
            for probe in self_test_records(faults, stack):
                log.write(probe)
        what.say("starting Locust")
        with locust_process(
            _load_config(what, stack),
            what.folder / "logs" / "load.log",
            undo,
            on_aligned=partial(_record_offset, log),
            bind=what.master_bind,
        ) as load:
            with ending_what_stands_still():
                _wait_for_users(what, load)
            with watching_run(stack, load, undo, what.file("watch")) as silences:
                outcome = _play(what, stack, load, books, silences, log)
            record_notices(load.notices, log)
        what.say("stopping")
        return outcome


def _stack_spec(what: RunSpec, undo: Janitor) -> Footing:
    return Footing(
        what.plan,
        project=what.project,
        target_folder=what.sources.target_folder,
        report=what.folder,
        janitor=undo,
        on_step=what.say,
        part=what.part,
        armed=first_ending(stretch.phase for stretch in what.stretches) == "reset",
        host=what.master_bind.host if what.master_bind else LOOPBACK,
        engine=what.engine,
    )


def self_test_records(faults: Sequence[Fault], stack: Stack) -> Iterator[Probe]:
    """What each of these faults does on this machine, as it is written down. Raises StackError."""
    for probe in self_test_faults(faults, stack.toxiproxy, stack.scratch, our_host=stack.our_host):
        yield Probe(
            t=time.monotonic_ns(),
            fault=probe.parameters,
            situation=probe.situation,
            expected=str(probe.expected),
            seen=probe.seen,
            after_ms=probe.after_ms,
            held=probe.held,
        )

    for cut in self_test_commits(faults, stack.toxiproxy, stack.postgres):
        yield Probe(
            t=time.monotonic_ns(),
            fault=cut.parameters,
            situation=SITUATION,
            expected=cut.expected,
            seen=cut.seen,
            after_ms=cut.after_ms,
            held=cut.held,
        )


def _load_config(what: RunSpec, stack: Stack) -> LoadConfig:
    scenario = what.plan.scenario
    return LoadConfig(
        locustfile=what.sources.locustfile,
        arms={name: arm.service.url for name, arm in stack.arms.items()},
        users=scenario.load.users,
        seed=scenario.seed,
        requests_path=what.file("requests"),
        time_limit_s=scenario.load.timeout_s,
        arrivals_per_s=scenario.load.arrivals_per_s,
        part=what.part,
        workers=scenario.load.workers if scenario.load.workers > 1 or what.master_bind else 0,
    )


def _wait_for_users(what: RunSpec, load: LocustProcess) -> None:
    if what.master_bind is None:
        load.wait_ready(LOAD_READY_S)
        return
    count = what.plan.scenario.load.workers
    what.say(
        f"waiting for {count} workers: `brokenpipe worker --master {what.master_bind}` on their machines"
    )
    load.wait_ready(WORKERS_JOIN_S)


def _record_offset(log: Writer, measured: Aligned) -> None:
    """Without it a worker's times mean nothing, so it is written down at once."""
    log.write(Sync(time.monotonic_ns(), measured.worker, measured.offset_ns, measured.error_ns))


def _open_ledger(what: RunSpec, stack: Stack, log: Writer) -> AbstractContextManager[LedgerReader]:
    target_toml = what.sources.target_folder / "target.toml"
    return open_ledger(what.plan.target.ledger, target_toml, stack, what.file("ledger"), log)


def _play(
    what: RunSpec,
    stack: Stack,
    load: LocustProcess,
    books: LedgerReader,
    silences: SilenceMonitor,
    log: Writer,
) -> Outcome:
    scenario = what.plan.scenario
    proxies = {name: arm.proxy for name, arm in stack.arms.items()}
    databases = {name: arm.database for name, arm in stack.arms.items()}
    with (
        writing(what.file("nemesis"), "nemesis") as acts,
        writing(what.file("gauges"), "probe") as gauges,
        sampling(sampled_processes(stack, load), databases, stack, gauges, log),
        nemesis(proxies, stack.toxiproxy, acts, log) as actor,
    ):
        outcome = TimelinePlayer(
            scenario=scenario,
            stretches=what.stretches,
            before=what.played,
            load=load,
            nemesis=actor,
            log=log,
            roll_call=LivenessCheck(stack, log),
            on_progress=what.on_progress,
            drain_s=scenario.load.timeout_s + 1.0,
            started=what.started,
            total_s=what.total_s,
            further=_extension(what),
            patience=WaitLimit(silences),
        ).run()
        if what.plan.target.ledger:
            what.say("reading the ledger")
        books.end(actor.clear, partial(silences.silent_for_s, {"postgres"}))
        return outcome


def _extension(what: RunSpec) -> Callable[[Mapping[str, int]], Sequence[EpisodeRange]] | None:
    """Whom the experiment asks for more, from now on."""
    if what.plan.looks:
        return partial(_next_analysis, what)
    if what.plan.soak_s is not None:
        return partial(rounds_that_fit, what, time.monotonic())
    return None


def rounds_that_fit(what: RunSpec, began: float, played: Mapping[str, int]) -> Sequence[EpisodeRange]:
    """Of a soak: what fits into the time that is left, because all before took less than was thought."""
    plan = what.plan
    assert plan.soak_s is not None
    planned_s = sum(stretch.forecast_of(plan.scenario) for stretch in what.stretches)
    left_s = planned_s - (time.monotonic() - began)
    more = remaining_ranges(soak_ranges(plan.scenario, plan.soak_s + max(0.0, left_s)), played)
    return tuple(stretch for stretch in more[:1] if stretch.forecast_of(plan.scenario) <= left_s)


def _next_analysis(what: RunSpec, played: Mapping[str, int]) -> Sequence[EpisodeRange]:
    """What the next look asks for. Nothing is judged when there is no room for more episodes anyway."""
    plan = what.plan
    if what.open_phases is None or not next_ranges(plan.scenario, plan.looks, played, plan.looks):
        return ()
    what.say("looking whether everything is decided")
    return next_ranges(plan.scenario, plan.looks, played, what.open_phases(what.folder))


def record_notices(notices: Iterable[Notice], log: Writer) -> None:
    """What the load has to say about the locustfile, for the reader of the report."""
    for notice in notices:
        log.write(Doubt.of(Code(f"load_{notice.code}"), notice.text))


def sampled_processes(stack: Stack, load: LocustProcess) -> list[SampledProcess]:
    """Every process whose gauges are read."""
    return [
        SampledProcess("harness", None, os.getpid),
        SampledProcess("load", None, lambda: load.pid),
        *(
            SampledProcess(f"worker {name}", None, partial(int, pid))
            for name, pid in load.worker_pids.items()
        ),
        SampledProcess("toxiproxy", None, lambda: stack.toxiproxy.child.pid),
        *(
            [SampledProcess("pgbouncer", None, partial(int, stack.pgbouncer.child.pid))]
            if stack.pgbouncer
            else []
        ),
        SampledProcess("postgres", None, lambda: stack.postgres.child.pid),
        *(SampledProcess("target", arm.name, partial(_target_pid, arm)) for arm in stack.arms.values()),
    ]


def watching_run(
    stack: Stack, load: LocustProcess, undo: Janitor, path: Path
) -> AbstractContextManager[Watch]:
    """The watch over all that this run owns, for as long as the block lasts."""
    janitor_ = SampledProcess(JANITOR, None, lambda: undo.pid)
    return watching([*sampled_processes(stack, load), janitor_], stack, path)


def _target_pid(arm: Arm) -> int:
    return arm.service.child.pid
