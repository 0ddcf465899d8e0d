"""A run that is under way: what records it, what acts in it, and how it ended.

recording     the history of a run: whatever ends the block, its last line says how
ledger_begun  the target's ledger as it is before any load
run_session   all that runs beside a timeline: gauges, watch and nemesis, on a stack with a load

It is the same whether a scenario's file decides what happens next, or the page of a web session.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from brokenpipe.drive.gauges.liveness import LivenessCheck
from brokenpipe.drive.gauges.sampler import SampledProcess, sampling
from brokenpipe.drive.locust.process import LocustProcess
from brokenpipe.drive.nemesis import Nemesis, nemesis
from brokenpipe.drive.renewal import RenewalWait, not_back_warning
from brokenpipe.drive.watch.process_states import JANITOR
from brokenpipe.drive.watch.watch import SilenceMonitor, watching
from brokenpipe.drive.write_ledger_reader import ArmLedger, LedgerReader, open_ledger
from brokenpipe.history.file_names import first_file
from brokenpipe.history.fsync import Fsyncer, syncing
from brokenpipe.history.inventory import compute_checksums, list_files
from brokenpipe.history.records import Episode, Finish, PhaseEdge, RecordedDoubt, RunEnding
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import Writer, open_writer
from brokenpipe.load.config import LoadConfig
from brokenpipe.load.messages import Notice
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.standstill import ending_stopped_processes
from brokenpipe.stack.stack import Arm, Stack

DRAIN_SLACK_S = 1.0  # beyond the time limit of a request


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it is no error, so that nothing catches it by accident."""


@dataclass(slots=True)
class Recording:
    """A history that is being written. `ending` is how the run ended, unless an exception says otherwise."""

    log: Writer
    fsyncer: Fsyncer
    ending: RunEnding = "failed"


@contextmanager
def recording(folder: Path, part: int = 1, *, absorb_signals: bool = False) -> Iterator[Recording]:
    """The experiment's log of a folder that is locked. Whatever ends the block: how it ended is the last line.

    `absorb_signals`: Ctrl-C and SIGTERM end the block and nothing else. Raises RecordingError.
    """
    with (
        syncing(folder) as fsyncer,
        open_writer(first_file(folder, "experiment", part), "experiment") as log,
    ):
        run = Recording(log, fsyncer)
        try:
            yield run
        except (KeyboardInterrupt, Terminated) as signal:
            run.ending = "interrupted" if isinstance(signal, KeyboardInterrupt) else "terminated"
            if not absorb_signals:
                raise
        except BaseException:
            run.ending = "failed"
            raise
        finally:
            _write_finish(run)


def _write_finish(run: Recording) -> None:
    """Write the last line of the history: how the run ended, and the files written beside it. Raises RecordingError."""
    folder = run.log.path.parent
    files = list_files(folder, but=run.log.path, seen=run.fsyncer.sizes)
    sums = compute_checksums(folder, files, run.log.path)
    run.log.write(Finish(t=time.monotonic_ns(), how=run.ending, files=files, checksums=sums))


@dataclass(frozen=True, slots=True)
class RunSession:
    """Everything of a run that is under way. Made by `run_session`."""

    load: LocustProcess
    nemesis: Nemesis
    log: Writer
    ledger: LedgerReader
    watch: SilenceMonitor
    check_alive: Callable[[str | None], None]
    drain_s: float  # how long requests may take to end once the gate is closed

    def record_phase(self, name: str, edge: Literal["begin", "end"], t: int) -> None:
        self.log.write(PhaseEdge(t=t, name=name, edge=edge))

    def record_episode(
        self, phase: str, n: int, t0: int, t1: int, strike: int | None, arm: str | None = None
    ) -> None:
        self.log.write(Episode(phase=phase, n=n, t0=t0, t1=t1, strike=strike, counts=True, arm=arm))

    def drain(self, give_up: Callable[[], bool] = lambda: False) -> float | None:
        """Close the gate and wait until no request is in flight. Returns how long in vain; None: none is."""
        since = time.monotonic()
        return None if self.load.drain(self.drain_s, give_up) else time.monotonic() - since

    def record_not_drained(self, waited_s: float, phase: str) -> None:
        """Record a doubt: requests are still in flight after so many seconds."""
        text = f"requests were still under way {round(waited_s, 1):g} s after the load paused"
        self.log.write(RecordedDoubt.of(Code.NOT_DRAINED, text, phase=phase))

    def wait_for_renewal(
        self,
        renewed: Sequence[str],
        phase: str,
        wait: Callable[[], None],
        *,
        give_up: Callable[[], bool] = lambda: False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait until each arm with renewed connections has answered; record a doubt for each that does not.

        `wait` waits a moment. `give_up` ends the wait, with the doubts; `stopped` ends it without them.
        """
        renewal = RenewalWait(renewed, time.monotonic(), self.load.progress)
        while (missing := renewal.missing(time.monotonic(), self.load.progress)) and not stopped():
            if renewal.timed_out(time.monotonic()) or give_up():
                for arm in missing:
                    self.log.write(not_back_warning(arm, phase))
                return
            wait()

    def end(self) -> None:
        """Read what the ledger holds at the end, and record what the load noticed about the locustfile."""
        self.ledger.end(self.nemesis.end_all_connections, partial(self.watch.silent_for_s, {"postgres"}))
        record_notices(self.load.notices, self.log)


@contextmanager
def ledger_begun(
    plan: Plan, sources: Sources, folder: Path, stack: Stack, log: Writer, part: int = 1
) -> Iterator[LedgerReader]:
    """The reader of the target's ledger, which has read what is there before any load. Raises TargetError."""
    path = first_file(folder, "ledger", part)
    with open_ledger(_ledgers(plan, sources, stack), stack, path, log) as ledger:
        with ending_stopped_processes():
            ledger.begin()
        yield ledger


def _ledgers(plan: Plan, sources: Sources, stack: Stack) -> list[ArmLedger]:
    """The ledgers of the arms whose targets have one."""
    return [
        ArmLedger(name, arm.database, statement, sources.folder_of(plan.scenario.target_of(name)))
        for name, arm in stack.arms.items()
        if (statement := plan.target_of(name).ledger) is not None
    ]


@contextmanager
def run_session(
    plan: Plan,
    folder: Path,
    stack: Stack,
    load: LocustProcess,
    ledger: LedgerReader,
    log: Writer,
    run_janitor: Janitor,
    part: int = 1,
) -> Iterator[RunSession]:
    """Gauges, watch and nemesis for as long as the block lasts. Raises RecordingError."""
    proxies = {name: arm.proxy for name, arm in stack.arms.items()}
    databases = {name: arm.database for name, arm in stack.arms.items()}
    processes = sampled_processes(stack, load)
    janitor_ = SampledProcess(JANITOR, None, lambda: run_janitor.pid)
    with (
        watching([*processes, janitor_], stack, first_file(folder, "watch", part)) as watch,
        open_writer(first_file(folder, "nemesis", part), "nemesis") as acts,
        open_writer(first_file(folder, "gauges", part), "probe") as gauges,
        sampling(processes, databases, stack, gauges, log),
        nemesis(proxies, stack.toxiproxy, acts, log) as actor,
    ):
        yield RunSession(
            load=load,
            nemesis=actor,
            log=log,
            ledger=ledger,
            watch=watch,
            check_alive=LivenessCheck(stack, log),
            drain_s=plan.scenario.load.timeout_s + DRAIN_SLACK_S,
        )


def load_config(plan: Plan, sources: Sources, urls: Mapping[str, str], requests_path: Path) -> LoadConfig:
    """The load of a plan in one process: the URL of each arm, and where requests are recorded."""
    load = plan.scenario.load
    return LoadConfig(
        locustfile=sources.locustfile,
        arms=urls,
        users=load.users,
        seed=plan.scenario.seed,
        requests_path=requests_path,
        time_limit_s=load.timeout_s,
        arrivals_per_s=load.arrivals_per_s,
    )


def record_notices(notices: Iterable[Notice], log: Writer) -> None:
    """Record what the load noticed about the locustfile, as doubts."""
    for notice in notices:
        log.write(RecordedDoubt.of(Code(f"load_{notice.code}"), notice.text))


def sampled_processes(stack: Stack, load: LocustProcess) -> list[SampledProcess]:
    """Every process that is sampled."""
    return [
        SampledProcess("harness", None, os.getpid),
        SampledProcess("load", None, lambda: load.pid),
        *(
            SampledProcess(f"worker {name}", None, partial(int, pid))
            for name, pid in load.worker_pids.items()
        ),
        SampledProcess("toxiproxy", None, lambda: stack.toxiproxy.child.pid),
        *(
            SampledProcess(name, None, partial(int, each.child.pid))
            for name, each in stack.pgbouncers.items()
        ),
        SampledProcess("postgres", None, lambda: stack.postgres.child.pid),
        *(SampledProcess("target", arm.name, partial(_target_pid, arm)) for arm in stack.arms.values()),
    ]


def _target_pid(arm: Arm) -> int:
    return arm.service.child.pid
