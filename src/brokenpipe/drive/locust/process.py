"""Locust as seen from the harness: started, controlled and ended.

One process, or a master with workers: the harness talks to the master only (`load/distributed/master.py`).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from brokenpipe.drive.locust.errors import ended_error, foreign_url_error, not_ready_error, reported_error
from brokenpipe.drive.locust.worker_process import LOCUST, STOP_TIMEOUT_S, load_worker, require_running
from brokenpipe.errors import BrokenpipeError
from brokenpipe.load import config as load_config
from brokenpipe.load.config import Bind, LoadConfig
from brokenpipe.load.messages import (
    Count,
    Drained,
    Failed,
    GateCommand,
    LoadCommand,
    LoadEvent,
    Notice,
    Progress,
    Ready,
    Refused,
    Stop,
    WorkerClockOffset,
    encode,
    parse_event,
)
from brokenpipe.load.web_messages import UserCountChanged, WebCommand, WebEvent
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.open_files import raise_limit
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.stack.processes.process import Child, child, clean_environment

OnWebMessage = Callable[[WebEvent], None]

WORKER_CHECK_S = 0.5  # between two checks that all workers still start
GIVE_UP_CHECK_S = 0.5  # between two calls of `give_up`


@dataclass(slots=True)
class _LocustState:
    """The state of Locust, as of its latest messages."""

    ready: int | None = None
    drained_close_id: int = 0
    progress: Mapping[str, Count] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    failure: BrokenpipeError | None = None
    gone: bool = False


class LocustProcess:
    """A running Locust process whose users wait at a closed gate.

    Every method but `stop` raises LocustfileError when the locustfile turned out to be unusable, RedirectError when a
    service sends users elsewhere, RecordingError when the request log cannot be written, StackError when the process
    ended by itself.
    """

    def __init__(
        self,
        config: LoadConfig,
        process: Child,
        channel: socket.socket,
        on_web: OnWebMessage | None = None,
        workers: Sequence[Child] = (),
        on_aligned: Callable[[WorkerClockOffset], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._on_web = on_web
        self._process = process
        self._workers = workers
        self._on_aligned = on_aligned
        self._channel = channel
        self._state = _LocustState()
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()  # the run and the pages send from different threads
        self._close_id = 0
        self._openings = 0
        self._stopping = False
        threading.Thread(target=self._read_messages, name="news of the load", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def worker_pids(self) -> Mapping[str, int]:
        """The workers that run on this machine, by name. Empty if one process has all users."""
        return {f"w{number}": worker.pid for number, worker in enumerate(self._workers, 1)}

    @property
    def progress(self) -> Mapping[str, Count]:
        """Requests of each arm so far, at most half a second old. Empty before the first message."""
        return self._state.progress

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader of the results should know about the locustfile."""
        return self._state.notices

    @property
    def failure(self) -> BrokenpipeError | None:
        """Why the load cannot go on, if it cannot."""
        if self._state.failure is None and self._state.gone and not self._stopping:
            self._state.failure = ended_error(self._process)
        return self._state.failure

    def check(self) -> None:
        """Raises `failure` if there is one."""
        if failure := self.failure:
            raise failure

    def wait_ready(self, timeout_s: float = 30.0) -> int:
        """Wait until all users exist. Returns their number. Raises StackError when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while not self._wait(lambda: self._state.ready is not None, WORKER_CHECK_S):
            for worker in self._workers:
                require_running(worker)
            if time.monotonic() > deadline:
                break
        if self._state.ready is None:
            raise not_ready_error(self._process, self._config.total_users, timeout_s)
        return self._state.ready

    def send_to_web(self, message: WebCommand) -> None:
        """Send a message to the web UI."""
        self._send(message)

    def open(self, arms: Sequence[str] | None = None, *, arrival_seed_index: int | None = None) -> None:
        """Let all users act, or those of some arms.

        `arrival_seed_index` selects the arrivals of an open load: by default every opening has arrivals of its own.
        """
        if arrival_seed_index is None:
            self._openings = arrival_seed_index = self._openings + 1
        self._send(
            GateCommand(
                open=True, arrival_seed_index=arrival_seed_index, arms=None if arms is None else tuple(arms)
            )
        )

    def close(self) -> None:
        """Close the gate: no user begins another request. Requests under way go on: see `drain`."""
        self._close_id += 1
        self._send(GateCommand(open=False, close_id=self._close_id))

    def drain(self, timeout_s: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Close the gate and wait until no request is under way. False: some still are after `timeout_s`.

        `give_up` is called now and then: if True, the wait ends.
        """
        self.close()
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            if self._wait(
                lambda: self._state.drained_close_id >= self._close_id, min(left_s, GIVE_UP_CHECK_S)
            ):
                return True
            if give_up():
                return False
        return False

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    @property
    def drained(self) -> bool:
        """Whether the gate is closed and no request is under way."""
        return self._state.drained_close_id >= self._close_id > 0

    def begin_to_stop(self) -> None:
        """End users and process without waiting for it; requests under way get a second."""
        if not self._stopping:
            self._stopping = True
            with suppress(OSError), self._send_lock:
                self._channel.sendall(encode(Stop()))

    def stop(self, timeout_s: float = STOP_TIMEOUT_S + 4.0) -> None:
        """End users and process; requests under way get a second. The end of the block does the rest."""
        self.begin_to_stop()
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._changed.wait_for(lambda: self._state.gone, timeout_s)
        while self._process.running and time.monotonic() < deadline:
            time.sleep(0.01)

    # --- inside -------------------------------------------------------------------------------------

    def _send(self, message: LoadCommand) -> None:
        self.check()
        with suppress(OSError), self._send_lock:  # it has ended: the next check says why
            self._channel.sendall(encode(message))

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: condition() or self._state.failure is not None or self._state.gone, timeout_s
            )
        self.check()
        return condition()

    def _read_messages(self) -> None:
        try:
            # ValueError: the last line of a load that was killed in the middle of it.
            with suppress(OSError, ValueError), self._channel.makefile("rb") as lines:
                for line in lines:
                    message = parse_event(line)
                    self._on_message(message)
                    if isinstance(message, WebEvent):
                        self._on_web_message(message)
        finally:
            with self._changed:
                self._state.gone = True
                self._changed.notify_all()

    def _on_web_message(self, message: WebEvent) -> None:
        if isinstance(message, UserCountChanged):
            with self._changed:
                self._state.ready = None  # they are being spawned
        if self._on_web:
            self._on_web(message)

    def _on_message(self, message: LoadEvent) -> None:
        state = self._state
        with self._changed:
            match message:
                case Ready(users=users):
                    state.ready = users
                case Drained(close_id=close_id):
                    state.drained_close_id = close_id
                case Progress(arms=arms):
                    state.progress = arms
                case Notice():
                    state.notices += (message,)
                case WorkerClockOffset():
                    self._record_offset(message)
                case Refused():
                    state.failure = state.failure or foreign_url_error(self._config, message)
                case Failed(what=what, text=text):
                    state.failure = state.failure or reported_error(what, text)
            self._changed.notify_all()

    def _record_offset(self, measured: WorkerClockOffset) -> None:
        """Record a clock offset. An error is kept as `failure`: in this thread it would look like a load that ended."""
        try:
            self._on_aligned(measured)
        except BrokenpipeError as error:
            self._state.failure = self._state.failure or error


@contextmanager
def locust_process(
    config: LoadConfig,
    log_path: Path,
    janitor: Janitor,
    *,
    environment: Mapping[str, str] | None = None,
    on_web: OnWebMessage | None = None,
    on_aligned: Callable[[WorkerClockOffset], None] = lambda _: None,
    bind: Bind | None = None,
) -> Iterator[LocustProcess]:
    """Locust for as long as the block lasts; its users wait at the closed gate.

    `environment` is what the locustfile is to find in its environment beside the usual; `on_web` hears, in a thread,
    the messages of the web UI, and `on_aligned` each measurement of a worker's clock. With `bind` workers
    are not started but join there. Raises StackError when Locust cannot be started.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, ExitStack() as started:
        child_config = replace(config, control_fd=theirs.fileno())
        master = bind or Bind(LOOPBACK, free_port())
        # The order of sets is random as well.
        extra_environment = {**(environment or {}), "PYTHONHASHSEED": str(child_config.seed % 2**32)}
        locust = _locust_child(child_config, master, log_path, janitor, extra_environment)
        process = started.enter_context(locust)
        raise_limit(process.pid)
        theirs.close()  # only the child keeps this end, so that its exit closes the channel
        workers = [
            started.enter_context(load_worker(number, master.port, log_path, janitor, extra_environment))
            for number in range(0 if bind else child_config.workers)
        ]
        for worker in workers:
            raise_limit(worker.pid)
        load = LocustProcess(config, process, ours, on_web, workers, on_aligned)
        try:
            yield load
        finally:
            if child_config.workers or load.stopping:
                load.stop()  # all together, with their last records


def _locust_child(
    config: LoadConfig, master: Bind, log_path: Path, janitor: Janitor, environment: Mapping[str, str]
) -> AbstractContextManager[Child]:
    """The process of Locust. Its end of the channel is `config.control_fd`."""
    return child(
        "locust",
        _argv(config, master),
        log_path=log_path,
        janitor=janitor,
        env=clean_environment({**environment, load_config.VARIABLE: config.to_json()}),
        pass_fds=(config.control_fd,),
        stop_timeout_s=STOP_TIMEOUT_S + 2.0,
    )


def _argv(config: LoadConfig, bind: Bind) -> list[str]:
    users, workers = str(config.total_users), str(config.workers)
    master = ["--master", "--master-bind-host", bind.host, "--master-bind-port", str(bind.port)]
    return [
        *LOCUST, *_web_options(config), "--web-host", LOOPBACK,
        "--users", users, "--spawn-rate", users,
        "--stop-timeout", str(STOP_TIMEOUT_S), "--exit-code-on-error", "0",
        *([*master, "--expect-workers", workers] if config.workers else []),
    ]  # fmt: skip


def _web_options(config: LoadConfig) -> list[str]:
    return ["--web-port", str(config.web.port)] if config.web else ["--headless", "--only-summary"]
