"""`run --web`: one Locust that stays, and between Start and Stop a run with a stack and folder of its own.

    stack up ─▶ self-test ─▶ targets to the load ─▶ Start ─▶ by hand ─▶ Stop ─▶ stack down ─▶ report ─┐
        ▲                                                                                             │
        └─────────────────────────────────────────────────────────────────────────────────────────────┘

So every run begins as a run by file does: with a fresh database, fresh processes and nothing recorded before.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

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
from brokenpipe.drive.run_folder import (
    locked,
    new_report_folder,
    point_latest_at,
    remove_if_not_begun,
    write_environment,
    write_plan,
    write_stack_versions,
)
from brokenpipe.drive.run_session import Terminated, ledger_begun, load_config, recording, run_session
from brokenpipe.drive.self_test.stack import self_test_on_stack
from brokenpipe.errors import BrokenpipeError, StackError
from brokenpipe.faults import Fault
from brokenpipe.history.records import SelfTest
from brokenpipe.history.writer import Writer
from brokenpipe.load.config import LoadConfig, Web
from brokenpipe.load.web_messages import (
    AllUsersStopped,
    CommandReply,
    CommandRequest,
    RunTargets,
    StopRequested,
    UserCountChanged,
    WebEvent,
)
from brokenpipe.plan.endings import first_ending
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK, is_taken, poll
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.processes.standstill import ending_stopped_processes
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Stack
from brokenpipe.stack.start import start_stack

POLL_S = 0.1
PAGE_TIMEOUT_S = 30.0  # for Locust to serve its page
LAST_DRAIN_S = 1.0  # for those under way at a Ctrl-C
STOPPED_TIMEOUT_S = 10.0  # from Stop to the last user's end; Locust gives them one


@dataclass(frozen=True, slots=True)
class WebSessionConfig:
    """Inputs of a web session. `page`: HTML of the page beside Locust's. `on_message`: prints a line."""

    plan: Plan
    sources: Sources
    project: Project
    reports: Path
    command: str
    port: int
    page: str
    live_source: LiveSourceFactory
    on_message: Callable[[str], None]
    engine: str | None = None  # the Docker engine of a stack in containers; None: the active one

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def serve_web_session(config: WebSessionConfig) -> None:
    """Serve until Ctrl-C or SIGTERM, which are raised again when every run is recorded and reported.

    Raises StackError, UsageError (the locustfile) or RecordingError, after everything was taken down.
    """
    with (
        janitor(secrets.token_hex(8)) as janitor_,
        scratch_folder("brokenpipe-web-", janitor_) as scratch,
    ):
        page = scratch / "page.html"
        page.write_text(config.page, encoding="utf-8")
        with ReportWorker(janitor_, scratch, config.on_message) as reporter:
            _WebSession(config, janitor_, reporter, page).serve()


class _WebSession:
    """State of a web session that outlives single runs: Locust, report worker, command queue, page."""

    def __init__(
        self, config: WebSessionConfig, janitor_: Janitor, reporter: ReportWorker, page: Path
    ) -> None:
        self._config = config
        self._janitor = janitor_
        self._reporter = reporter
        self._page = page
        scenario = config.plan.scenario
        packet_loss_available = config.plan.stack == "compose" and scenario.in_namespace
        self._commands = CommandQueue(
            tuple(scenario.arms), tls=scenario.postgres.tls, packet_loss_available=packet_loss_available
        )
        self._session = SessionState(config.plan)
        self._live_state: LiveStateBuilder | None = None
        self._load: LocustProcess | None = None
        self._folder: Path | None = None  # of the run that is on

    def serve(self) -> None:
        folder = self._new_folder()
        log = folder / "logs" / "load.log"
        try:
            with locust_process(self._load_config(), log, self._janitor, on_web=self._on_message) as load:
                self._load = load
                _wait_for_page(load, self._config.port)
                with publishing(load, self._state):
                    while True:
                        self._run(folder, load)
                        folder = self._new_folder()
        except (KeyboardInterrupt, Terminated):
            remove_if_not_begun(folder)  # Start was not pressed
            raise

    def _new_folder(self) -> Path:
        """The folder of the next run. `latest` leads to it once it is started."""
        return new_report_folder(self._config.reports, self._config.plan.stem)

    def _load_config(self) -> LoadConfig:
        # Placeholders: each run has its own. All different, or Locust would show one host.
        urls = {arm: f"http://{LOOPBACK}:{n}" for n, arm in enumerate(self._config.plan.scenario.arms, 1)}
        config = load_config(self._config.plan, self._config.sources, urls, Path(os.devnull))
        return replace(config, web=Web(self._config.port, str(self._page)))

    # --- one run after the other --------------------------------------------------------------------

    def _run(self, folder: Path, load: LocustProcess) -> None:
        plan = self._config.plan
        self._set_state("preparing", "starting")
        try:
            with start_stack(self._stack_spec(folder)) as stack:
                self._set_state("preparing", "probing what each fault does on this machine")
                faults = [phase.fault for phase in plan.scenario.phases if phase.fault]
                with ending_stopped_processes():
                    self_tests = self_test_on_stack(faults, stack)
                self._commands.reset()
                urls = {name: arm.service.url for name, arm in stack.arms.items()}
                load.send_to_web(RunTargets(urls, str(folder / "requests.ndjson")))
                self._set_state("ready", "press Start")
                self._config.on_message(f"ready: {self._config.url}")
                self._wait_for_start(load)
                self._record(folder, stack, load, self_tests)
                self._set_state("reporting", "taking the stack down")
        finally:
            self._live_state, self._folder = None, None
            if (folder / "experiment.ndjson").exists():
                self._report(folder)

    def _stack_spec(self, folder: Path) -> StackSpec:
        return StackSpec(
            self._config.plan,
            project=self._config.project,
            target_folder=self._config.sources.target_folder,
            other_folders=self._config.sources.other_folders,
            report=folder,
            janitor=self._janitor,
            on_step=partial(self._set_state, "preparing"),
            rst_on_close=first_ending(self._config.plan.scenario.phases) != "fin",
            engine=self._config.engine,
        )

    def _report(self, folder: Path) -> None:
        """Make the report of a finished run, even if the session is being ended."""
        try:
            self._reporter.make(folder, last=True)
        except (KeyboardInterrupt, Terminated):
            self._reporter.make(folder, last=True)
            raise

    def _wait_for_start(self, load: LocustProcess) -> None:
        while not self._commands.users:
            load.check()
            time.sleep(POLL_S)

    def _record(self, folder: Path, stack: Stack, load: LocustProcess, self_tests: list[SelfTest]) -> None:
        users = self._commands.users
        load_ = self._config.plan.scenario.load.model_copy(update={"users": users})
        plan = self._config.plan.model_copy(
            update={
                "scenario": self._config.plan.scenario.model_copy(update={"load": load_}),
                "by_hand": True,
            }
        )
        write_plan(folder, plan, self._config.sources)
        write_environment(folder, plan, self._config.sources, self._config.command)
        write_stack_versions(folder, stack)
        self._session.reports.append(
            {"name": folder.name, "page": str(folder / "report.html"), "state": "running"}
        )
        with locked(folder), recording(folder) as run:
            point_latest_at(folder)
            for probe in self_tests:
                run.log.write(probe)
            self._folder = folder
            self._play(folder, plan, stack, load, run.log)
            run.ending = "done"

    def _play(self, folder: Path, plan: Plan, stack: Stack, load: LocustProcess, log: Writer) -> None:
        source = self._config.live_source(folder, tuple(plan.scenario.arms))
        self._live_state = LiveStateBuilder(
            self._session, self._commands, source, folder.name, time.monotonic_ns()
        )
        with (
            ledger_begun(plan, self._config.sources, folder, stack, log) as ledger,
            run_session(plan, folder, stack, load, ledger, log, self._janitor) as session,
        ):
            self._set_state("starting", "users are on their way")
            load.open()
            self._wait_ready(load)
            manual_run = ManualRun(
                session=session,
                plan=plan,
                commands=self._commands,
                on_plan=lambda changed: write_plan(folder, changed, self._config.sources),
                self_test=_self_tester(plan, stack, log),
            )
            self._live_state.manual_run = manual_run
            with self._accepting_commands(load):
                manual_run.run()
            self._set_state("reporting", "waiting for the last user")
            if not poll(lambda: self._commands.stopped or None, timeout_s=STOPPED_TIMEOUT_S, every_s=POLL_S):
                load.check()
            session.end()

    @contextmanager
    def _accepting_commands(self, load: LocustProcess) -> Iterator[None]:
        """Accept commands while the block lasts. After an error, drain the load before the stack ends."""
        self._commands.running = True
        self._set_state("running", "users are there")
        try:
            yield
        except BaseException:
            with suppress(BrokenpipeError):
                load.drain(LAST_DRAIN_S)
            raise
        finally:
            self._commands.running = False

    def _wait_ready(self, load: LocustProcess) -> None:
        """Wait until all users exist, however long that takes, or until Stop is pressed."""
        while self._commands.stop_requested_at is None:
            with suppress(StackError):  # they are still coming
                load.wait_ready(POLL_S)
                return
            load.check()

    # --- the pages ----------------------------------------------------------------------------------

    def _set_state(self, state: str, message: str) -> None:
        self._session.state, self._session.message = state, message

    def _state(self) -> dict[str, object]:
        for entry in self._session.reports:
            entry["state"] = self._reporter.state(Path(str(entry["page"])).parent)
        live_state = self._live_state
        return live_state.build() if live_state else self._session.build()

    def _on_message(self, message: WebEvent) -> None:
        """Handle a message of Locust's page. Called in the thread that reads the load's messages."""
        match message:
            case CommandRequest():
                refusal = self._commands.submit(message)
                if refusal is None and message.command == "report" and self._folder:
                    folder = self._folder
                    threading.Thread(target=self._reporter.make, args=(folder,), daemon=True).start()
                if self._load:
                    self._load.send_to_web(CommandReply(message.number, refusal))
            case UserCountChanged(users=users):
                self._commands.set_users(users)
            case StopRequested(t=t):
                self._commands.request_stop(t)
            case AllUsersStopped():
                self._commands.confirm_stopped()


def _self_tester(plan: Plan, stack: Stack, log: Writer) -> Callable[[Fault], None]:
    """A function that tests a fault on this machine, the first time; those of the scenario are tested already."""
    tested = {phase.fault.shortened() for phase in plan.scenario.phases if phase.fault}

    def self_test(fault: Fault) -> None:
        if fault.shortened() not in tested:
            tested.add(fault.shortened())
            for probe in self_test_on_stack([fault], stack):
                log.write(probe)

    return self_test


def _wait_for_page(load: LocustProcess, port: int) -> None:
    def there() -> bool | None:
        load.check()
        return is_taken(port) or None

    if not poll(there, timeout_s=PAGE_TIMEOUT_S, every_s=POLL_S):
        raise StackError(f"locust: its page did not come up on port {port} within {PAGE_TIMEOUT_S:g} s")
