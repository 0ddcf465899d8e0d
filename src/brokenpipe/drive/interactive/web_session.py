"""A sitting at the web UI: one Locust that stays, and between Start and Stop a run with a stack and folder of its own.

    stack up ─▶ certificate ─▶ aim the load ─▶ Start ─▶ by hand ─▶ Stop ─▶ stack down ─▶ report ─┐
        ▲                                                                                       │
        └───────────────────────────────────────────────────────────────────────────────────────┘

So every run begins as a run by file does: with a fresh database, fresh processes and nothing recorded before.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from brokenpipe.drive.gauges.liveness import LivenessCheck
from brokenpipe.drive.gauges.sampler import sampling
from brokenpipe.drive.interactive.command_queue import CommandQueue
from brokenpipe.drive.interactive.live_state import (
    LiveSourceFactory,
    LiveStateBuilder,
    SessionState,
    publishing,
)
from brokenpipe.drive.interactive.manual_run import ManualRun
from brokenpipe.drive.interactive.report_worker import ReportWorker
from brokenpipe.drive.locust.process import LocustProcess, locust_process
from brokenpipe.drive.nemesis import nemesis
from brokenpipe.drive.run_folder import (
    locked,
    new_report_folder,
    point_latest_at,
    remove_if_not_begun,
    write_environment,
    write_plan,
)
from brokenpipe.drive.runner import (
    Ending,
    Terminated,
    record_notices,
    sampled_processes,
    self_test_records,
    watching_run,
    write_finish,
)
from brokenpipe.drive.write_ledger_reader import open_ledger
from brokenpipe.errors import BrokenpipeError, StackError
from brokenpipe.faults import Fault
from brokenpipe.history.file_names import file_of
from brokenpipe.history.fsync import Keeper, keeping
from brokenpipe.history.records import Probe
from brokenpipe.history.writer import Writer, writing
from brokenpipe.load.config import LoadConfig, Web
from brokenpipe.load.web_messages import Aim, Answer, Ask, Halted, Halting, Swarm, WebNews
from brokenpipe.plan.endings import first_ending
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.janitor import Janitor, janitor
from brokenpipe.stack.processes.ports import LOOPBACK, poll, taken
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.spec import Footing
from brokenpipe.stack.stack import Stack
from brokenpipe.stack.start import stack_on

POLL_S = 0.1
PAGE_TIMEOUT_S = 30.0  # for Locust to serve its page
LAST_DRAIN_S = 1.0  # for those under way at a Ctrl-C
STOPPED_TIMEOUT_S = 10.0  # from Stop to the last user's end; Locust gives them one


@dataclass(frozen=True, slots=True)
class WebSessionConfig:
    """What is run, where its folders go, and who is told. `page` is the HTML of the page of ours."""

    plan: Plan
    sources: Sources
    project: Project
    reports: Path
    command: str
    port: int
    page: str
    lookout: LiveSourceFactory
    on_say: Callable[[str], None]
    engine: str | None = None  # the Docker engine of a stack in containers; None: the active one

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def serve_web_session(what: WebSessionConfig) -> None:
    """Until Ctrl-C or SIGTERM, which are raised again when every run is recorded and reported.

    Raises StackError, UsageError (the locustfile) or RecordingError, after everything was taken down.
    """
    with janitor(secrets.token_hex(8)) as undo, scratch_folder("brokenpipe-web-", undo) as scratch:
        page = scratch / "page.html"
        page.write_text(what.page, encoding="utf-8")
        with ReportWorker(undo, scratch, what.on_say) as reporter:
            _WebSession(what, undo, reporter, page).sit()


class _WebSession:
    """Where the sitting takes place: what stays while runs come and go."""

    def __init__(self, what: WebSessionConfig, undo: Janitor, reporter: ReportWorker, page: Path) -> None:
        self._what = what
        self._undo = undo
        self._reporter = reporter
        self._page = page
        scenario = what.plan.scenario
        lossy = what.plan.stack == "compose" and scenario.in_namespace
        self._desk = CommandQueue(tuple(scenario.arms), tls=scenario.postgres.tls, lossy=lossy)
        self._board = SessionState(what.plan)
        self._watcher: LiveStateBuilder | None = None
        self._load: LocustProcess | None = None
        self._folder: Path | None = None  # of the run that is on

    def sit(self) -> None:
        folder = self._new_folder()
        log = folder / "logs" / "load.log"
        try:
            with locust_process(self._config(), log, self._undo, on_web=self._hear) as load:
                self._load = load
                _wait_for_page(load, self._what.port)
                with publishing(load, self._scene):
                    while True:
                        self._run(folder, load)
                        folder = self._new_folder()
        except (KeyboardInterrupt, Terminated):
            remove_if_not_begun(folder)  # nobody has pressed Start
            raise

    def _new_folder(self) -> Path:
        """Of the next run. It is not the latest before somebody starts it."""
        return new_report_folder(self._what.reports, self._what.plan.stem)

    def _config(self) -> LoadConfig:
        scenario = self._what.plan.scenario
        return LoadConfig(
            locustfile=self._what.sources.locustfile,
            # Nowhere yet: each run has its own. All different, or Locust would show the one host.
            arms={arm: f"http://{LOOPBACK}:{n}" for n, arm in enumerate(scenario.arms, 1)},
            users=scenario.load.users,
            seed=scenario.seed,
            requests_path=Path(os.devnull),
            time_limit_s=scenario.load.timeout_s,
            arrivals_per_s=scenario.load.arrivals_per_s,
            web=Web(self._what.port, str(self._page)),
        )

    # --- one run after the other --------------------------------------------------------------------

    def _run(self, folder: Path, load: LocustProcess) -> None:
        plan = self._what.plan
        self._say("preparing", "starting")
        try:
            with stack_on(self._footing(folder)) as stack:
                self._say("preparing", "probing what each fault does on this machine")
                faults = [phase.fault for phase in plan.scenario.phases if phase.fault]
                known = list(self_test_records(faults, stack))
                self._desk.anew()
                urls = {name: arm.service.url for name, arm in stack.arms.items()}
                load.tell(Aim(urls, str(folder / "requests.ndjson")))
                self._say("ready", "ready: press Start")
                self._what.on_say(f"ready: {self._what.url}")
                self._wait_for_start(load)
                self._record(folder, stack, load, known)
                self._say("reporting", "taking the stack down")
        finally:
            self._watcher, self._folder = None, None
            if (folder / "experiment.ndjson").exists():
                self._report(folder)

    def _footing(self, folder: Path) -> Footing:
        return Footing(
            self._what.plan,
            project=self._what.project,
            target_folder=self._what.sources.target_folder,
            report=folder,
            janitor=self._undo,
            on_step=partial(self._say, "preparing"),
            armed=first_ending(self._what.plan.scenario.phases) != "fin",
            engine=self._what.engine,
        )

    def _report(self, folder: Path) -> None:
        """Of a run that is over; somebody who ends the sitting now gets it all the same."""
        try:
            self._reporter.make(folder, last=True)
        except (KeyboardInterrupt, Terminated):
            self._reporter.make(folder, last=True)
            raise

    def _wait_for_start(self, load: LocustProcess) -> None:
        while not self._desk.users:
            load.check()
            time.sleep(POLL_S)

    def _record(self, folder: Path, stack: Stack, load: LocustProcess, known: list[Probe]) -> None:
        users = self._desk.users
        load_ = self._what.plan.scenario.load.model_copy(update={"users": users})
        plan = self._what.plan.model_copy(
            update={
                "scenario": self._what.plan.scenario.model_copy(update={"load": load_}),
                "by_hand": True,
            }
        )
        write_plan(folder, plan, self._what.sources)
        write_environment(folder, plan, self._what.sources, self._what.command, stack.versions)
        self._board.reports.append(
            {"name": folder.name, "page": str(folder / "report.html"), "state": "running"}
        )
        with (
            locked(folder),
            keeping(folder) as keeper,
            writing(file_of(folder, "experiment"), "experiment") as log,
            _recording_end(log, keeper),
        ):
            point_latest_at(folder)
            for probe in known:
                log.write(probe)
            self._folder = folder
            self._play(folder, plan, stack, load, log)

    def _play(self, folder: Path, plan: Plan, stack: Stack, load: LocustProcess, log: Writer) -> None:
        proxies = {name: arm.proxy for name, arm in stack.arms.items()}
        databases = {name: arm.database for name, arm in stack.arms.items()}
        target_toml = self._what.sources.target_folder / "target.toml"
        certified = {fault.brief() for phase in plan.scenario.phases if (fault := phase.fault)}
        looks = self._what.lookout(folder, tuple(plan.scenario.arms))
        self._watcher = LiveStateBuilder(self._board, self._desk, looks, folder.name, time.monotonic_ns())

        def certify(fault: Fault) -> None:
            if fault.brief() not in certified:
                certified.add(fault.brief())
                for probe in self_test_records([fault], stack):
                    log.write(probe)

        with (
            open_ledger(plan.target.ledger, target_toml, stack, file_of(folder, "ledger"), log) as books,
            writing(file_of(folder, "nemesis"), "nemesis") as acts,
            writing(file_of(folder, "gauges"), "probe") as gauges,
            sampling(sampled_processes(stack, load), databases, stack, gauges, log),
            watching_run(stack, load, self._undo, file_of(folder, "watch")) as silences,
            nemesis(proxies, stack.toxiproxy, acts, log) as actor,
        ):
            books.begin()
            self._say("starting", "users are on their way")
            load.open()
            self._wait_ready(load)
            hand = ManualRun(
                plan=plan,
                load=load,
                nemesis=actor,
                log=log,
                roll_call=LivenessCheck(stack, log),
                desk=self._desk,
                on_plan=lambda changed: write_plan(folder, changed, self._what.sources),
                certify=certify,
                drain_s=plan.scenario.load.timeout_s + 1.0,
            )
            self._watcher.hand = hand
            with self._open_for_wishes(load):
                hand.run()
            self._say("reporting", "waiting for the last user")
            if not poll(lambda: self._desk.halted or None, timeout_s=STOPPED_TIMEOUT_S, every_s=POLL_S):
                load.check()
            books.end(actor.clear, partial(silences.silent_for_s, {"postgres"}))
            record_notices(load.notices, log)

    @contextmanager
    def _open_for_wishes(self, load: LocustProcess) -> Iterator[None]:
        """While the block lasts. If it does not end well, nothing is asked of a stack that is taken down."""
        self._desk.running = True
        self._say("running", "users are there")
        try:
            yield
        except BaseException:
            with suppress(BrokenpipeError):
                load.drain(LAST_DRAIN_S)
            raise
        finally:
            self._desk.running = False

    def _wait_ready(self, load: LocustProcess) -> None:
        """As many users as were asked for, however slowly they come; or nobody wants them any more."""
        while self._desk.halting is None:
            with suppress(StackError):  # they are still coming
                load.wait_ready(POLL_S)
                return
            load.check()

    # --- the pages ----------------------------------------------------------------------------------

    def _say(self, state: str, said: str) -> None:
        self._board.state, self._board.said = state, said

    def _scene(self) -> dict[str, object]:
        for entry in self._board.reports:
            entry["state"] = self._reporter.state(Path(str(entry["page"])).parent)
        watcher = self._watcher
        return watcher.scene() if watcher else self._board.scene()

    def _hear(self, news: WebNews) -> None:
        """In the thread that listens to the load."""
        match news:
            case Ask():
                refusal = self._desk.ask(news)
                if refusal is None and news.what == "report" and self._folder:
                    folder = self._folder
                    threading.Thread(target=self._reporter.make, args=(folder,), daemon=True).start()
                if self._load:
                    self._load.tell(Answer(news.number, refusal))
            case Swarm(users=users):
                self._desk.swarm(users)
            case Halting(t=t):
                self._desk.stop(t)
            case Halted():
                self._desk.stopped()


@contextmanager
def _recording_end(log: Writer, keeper: Keeper) -> Iterator[None]:
    """How it ended is the last line."""
    ending: Ending = "failed"
    try:
        yield
        ending = "done"
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    except Terminated:
        ending = "terminated"
        raise
    finally:
        write_finish(log, ending, keeper)


def _wait_for_page(load: LocustProcess, port: int) -> None:
    def there() -> bool | None:
        load.check()
        return taken(port) or None

    if not poll(there, timeout_s=PAGE_TIMEOUT_S, every_s=POLL_S):
        raise StackError(f"locust: its page did not come up on port {port} within {PAGE_TIMEOUT_S:g} s")
