"""The Locust end of the channel to the harness: carries out commands, sends events, ends when the harness is gone."""

# mypy: disallow-untyped-calls=False
# (gevent and Locust's events carry no types)

from __future__ import annotations

import os
import socket  # gevent's, as everywhere in this process: Locust patches the standard library
import time
from pathlib import Path
from typing import Any, Protocol

import gevent
from locust import TaskSet
from locust.env import Environment
from locust.event import Events

from brokenpipe.load.messages import (
    Drained,
    Failed,
    GateCommand,
    LoadCommand,
    LoadEvent,
    Notice,
    Ready,
    Stop,
    encode,
    parse_command,
)
from brokenpipe.load.requests.origin_guard import ForeignUrlError
from brokenpipe.load.requests.tracked_request import COUNTED_NOTE
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.locustfile_loader import error_location
from brokenpipe.load.web_messages import CommandReply, RunTargets, StateUpdate, WebCommand

TICK_S = 0.025  # how soon an event is sent
FLUSH_TICKS = 8  # 0.2 s: what a kill -9 may cost
REPORT_TICKS = 20  # 0.5 s
FIRST_REQUEST_S = 1.0  # after spawning; users without a request by then are in their wait time
EXIT_GRACE_S = 1.0  # from the end of the channel to the end of the process, however busy it is


class ControlChannel:
    """The socket from the harness. One greenlet at a time sends messages, in order."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)  # a process that the locustfile starts must not keep it open
        self._socket = socket.socket(fileno=fd)
        self.lines = self._socket.makefile("rb")

    def send(self, message: LoadEvent) -> None:
        """Raises OSError when the harness is gone."""
        self._socket.sendall(encode(message))


class WebCommandHandler(Protocol):
    """The runs of Locust's web UI, to which the harness's commands about them go."""

    def handle_command(self, message: WebCommand) -> None: ...


class ControlClient:
    """Two greenlets beside the users: one for commands, one that sends events and flushes the request log."""

    def __init__(self, state: LoadState, channel: ControlChannel) -> None:
        self._state = state
        self._channel = channel
        self._environment: Environment | None = None
        self._pending_close_id: int | None = None  # the closing that waits for its last request
        self._spawned_at: float | None = None
        self._ready = self._ending = False
        self.web_runs: WebCommandHandler | None = None  # with Locust's web UI, where runs follow each other

    def set_state(self, state: LoadState) -> None:
        """Use the state of another run from now on. Queued messages are kept."""
        state.outbox = self._state.outbox
        self._state = state
        self._pending_close_id = self._spawned_at = None
        self._ready = False

    def queue(self, event: LoadEvent) -> None:
        """Send the event with the next tick."""
        self._state.outbox.append(event)

    def attach(self, events: Events) -> None:
        """Add listeners to Locust's events. Locust swallows what a listener raises, so these do not raise."""
        events.init_command_line_parser.add_listener(ignore_configuration_files)
        events.init.add_listener(self._init)
        events.spawning_complete.add_listener(self._spawned)
        events.user_error.add_listener(self._user_error)
        events.quitting.add_listener(self._quitting)
        events.quit.add_listener(self._quit)

    # --- Locust's events ----------------------------------------------------------------------------

    def _init(self, environment: Environment, **_: Any) -> None:
        environment.host = None  # each arm has its own
        self._environment = environment
        gevent.spawn(self._listen)
        gevent.spawn(self._tick)

    def _spawned(self, **_: Any) -> None:
        self._spawned_at = time.monotonic()

    def _user_error(self, user_instance: Any, exception: Exception, **_: Any) -> None:
        # What the wire did to a body is an outcome, not a mistake in the locustfile.
        known = isinstance(exception, ForeignUrlError) or COUNTED_NOTE in getattr(exception, "__notes__", ())
        # A user instead of a task set: its on_start raised, which `arm_classes` reports.
        if not known and isinstance(user_instance, TaskSet):
            name = type(user_instance.user).__mro__[1].__name__
            self._state.add_notice(
                Notice("task_error", f"{name}: {error_location(exception, self._locustfile)}")
            )

    def _quitting(self, **_: Any) -> None:
        self._state.shut_down()

    def _quit(self, **_: Any) -> None:
        self._flush_all()

    # --- the two greenlets --------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for line in self._channel.lines:
                self._handle_command(parse_command(line))
        except OSError:
            pass  # a broken channel is an ended one
        self._end(hard=True)

    def _handle_command(self, message: LoadCommand) -> None:
        match message:
            case GateCommand(open=True, arms=arms, arrival_seed_index=arrival_seed_index):
                self._pending_close_id = None
                self._state.open(arms, arrival_seed_index)
            case GateCommand(open=False, close_id=close_id):
                self._state.close()
                self._pending_close_id = close_id
            case Stop():
                self._end(hard=False)
            case RunTargets() | StateUpdate() | CommandReply() if self.web_runs:
                self.web_runs.handle_command(message)

    def _tick(self) -> None:
        worst_ns, ticks = 0, 0
        while True:
            asked_ns = time.monotonic_ns()
            gevent.sleep(TICK_S)
            now_ns = time.monotonic_ns()
            worst_ns = max(worst_ns, now_ns - asked_ns - int(TICK_S * 1e9))
            ticks += 1
            if ticks % REPORT_TICKS == 0:
                self._state.log.lag(now_ns, worst_ns / 1e6)
                self._state.outbox.append(self._state.progress())
                worst_ns = 0
            if ticks % FLUSH_TICKS == 0:
                self.flush()
            self._report_changes()
            self._send()

    def _report_changes(self) -> None:
        """Queue the events that have become true since the last tick."""
        state = self._state
        if self._pending_close_id is not None and state.in_flight == 0:
            # Progress comes first, so that the harness has the whole count.
            state.outbox += (state.progress(), Drained(self._pending_close_id))
            self._pending_close_id = None
        if not self._ready and self._is_ready():
            self._ready = True
            state.outbox.append(Ready(self._expected_users))

    def _is_ready(self) -> bool:
        if self._spawned_at is None:
            return False
        return (
            self._state.users_started >= self._expected_users
            or time.monotonic() - self._spawned_at > FIRST_REQUEST_S
        )

    @property
    def _expected_users(self) -> int:
        """The number of users of this process, once all are spawned."""
        return self._state.config.total_users

    # --- helpers ------------------------------------------------------------------------------------

    @property
    def _locustfile(self) -> Path:
        return self._state.config.locustfile

    def _send(self) -> None:
        while self._state.outbox:
            try:
                self._channel.send(self._state.outbox.popleft())
            except OSError:
                self._end(hard=True)

    def _flush_all(self) -> None:
        """Finish answered requests, flush the log, and send all events."""
        self._state.finish_answered()
        self.flush()
        self._state.outbox.append(self._state.progress())
        self._send()

    def flush(self) -> None:
        """Hand the request log to the kernel. A disk that refuses it ends the run."""
        try:
            self._state.flush()
        except OSError as error:
            self._state.outbox.append(recording_failed(self._state.log.path, error))
            self._send()
            self._end(hard=True)

    def _end(self, *, hard: bool) -> None:
        """End the users, then Locust. `hard`: without waiting for requests in flight."""
        assert self._environment is not None
        if self._ending or self._environment.runner is None:
            return
        self._ending = True
        self._state.shut_down()
        if hard:
            self._environment.stop_timeout = 0.0
            gevent.spawn_later(EXIT_GRACE_S, os._exit, 1)
        self._quit_locust(hard=hard)

    def _quit_locust(self, *, hard: bool) -> None:  # noqa: ARG002
        assert self._environment is not None
        assert self._environment.runner is not None
        self._environment.runner.quit()


def recording_failed(path: Path, error: OSError) -> Failed:
    return Failed("recording", f"{path}: the requests cannot be written: {error.strerror or error}")


def ignore_configuration_files(parser: Any, **_: Any) -> None:
    """Ignore a locust.conf or pyproject.toml in the working folder: it must not change an experiment."""
    parser._default_config_files = []  # as Locust does where it wants none
