"""The Locust end of the channel to the harness: obeys, reports, and ends when the harness is gone."""

# mypy: disallow-untyped-calls=False
# (gevent and Locust's events carry no types)

from __future__ import annotations

import os
import socket  # gevent's, as everywhere in this process: Locust patches the standard library
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from locust import TaskSet
from locust.env import Environment
from locust.event import Events

from brokenpipe.load.messages import Drained, Failed, Gate, News, Notice, Order, Ready, Stop, encode, order
from brokenpipe.load.requests.origin_guard import ForeignUrlError
from brokenpipe.load.requests.tracked_request import COUNTED_NOTE
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.locustfile_loader import error_location
from brokenpipe.load.web_messages import Aim, Answer, Show

if TYPE_CHECKING:
    from brokenpipe.load.web.runs import Stage

TICK_S = 0.025  # how soon "drained" or a refusal is told
FLUSH_TICKS = 8  # 0.2 s: what a kill -9 may cost
REPORT_TICKS = 20  # 0.5 s
SETTLE_S = 1.0  # users that have not asked for anything by then, after all were spawned, are thinking
GRACE_S = 1.0  # from the end of the channel to the end of the process, however busy it is


class Channel:
    """The socket that the harness passed on. Messages are sent from one greenlet at a time, in order."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)  # a process that the locustfile starts must not keep it open
        self._socket = socket.socket(fileno=fd)
        self.lines = self._socket.makefile("rb")

    def send(self, message: News) -> None:
        """Raises OSError when the harness is gone."""
        self._socket.sendall(encode(message))


class Steering:
    """Runs beside the users in two greenlets: one listens, one ticks."""

    def __init__(self, state: LoadState, channel: Channel) -> None:
        self._state = state
        self._channel = channel
        self._environment: Environment | None = None
        self._turn: int | None = None  # the closing that waits for its last request
        self._spawned_at: float | None = None
        self._ready = self._ending = False
        self.stage: Stage | None = None  # with Locust's web UI, where runs follow each other

    def take(self, state: LoadState) -> None:
        """Use the state of another run from now on. Queued messages are kept."""
        state.outbox = self._state.outbox
        self._state = state
        self._turn = self._spawned_at = None
        self._ready = False

    def tell(self, news: News) -> None:
        """Have it sent with the next tick."""
        self._state.outbox.append(news)

    def attach(self, events: Events) -> None:
        """Take part in Locust's life. What a listener raises Locust swallows, so these do not raise."""
        events.init_command_line_parser.add_listener(no_configuration_files)
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
        # A user instead of a task set: its on_start raised, of which `arms` tells.
        if not known and isinstance(user_instance, TaskSet):
            name = type(user_instance.user).__mro__[1].__name__
            self._state.add_notice(
                Notice("task_error", f"{name}: {error_location(exception, self._locustfile)}")
            )

    def _quitting(self, **_: Any) -> None:
        self._state.shut_down()

    def _quit(self, **_: Any) -> None:
        self._last_words()

    # --- the two greenlets --------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for line in self._channel.lines:
                self._obey(order(line))
        except OSError:
            pass  # a broken channel is an ended one
        self._end(hard=True)

    def _obey(self, message: Order) -> None:
        match message:
            case Gate(open=True, arms=arms, stretch=stretch):
                self._turn = None
                self._state.open(arms, stretch)
            case Gate(open=False, turn=turn):
                self._state.close()
                self._turn = turn
            case Stop():
                self._end(hard=False)
            case Aim() | Show() | Answer() if self.stage:
                self.stage.obey(message)

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
            self._look()
            self._send()

    def _look(self) -> None:
        """Say what has come true since the last look."""
        state = self._state
        if self._turn is not None and state.in_flight == 0:
            state.outbox += (state.progress(), Drained(self._turn))  # whoever hears of it has the whole count
            self._turn = None
        if not self._ready and self._is_ready():
            self._ready = True
            state.outbox.append(Ready(self._users))

    def _is_ready(self) -> bool:
        if self._spawned_at is None:
            return False
        return self._state.users_started >= self._users or time.monotonic() - self._spawned_at > SETTLE_S

    @property
    def _users(self) -> int:
        """How many there will be in this process."""
        return self._state.config.total_users

    # --- what they do -------------------------------------------------------------------------------

    @property
    def _locustfile(self) -> Path:
        return self._state.config.locustfile

    def _send(self) -> None:
        while self._state.outbox:
            try:
                self._channel.send(self._state.outbox.popleft())
            except OSError:
                self._end(hard=True)

    def _last_words(self) -> None:
        """Everything that is known, recorded and told."""
        self._state.finish_answered()
        self.flush()
        self._state.outbox.append(self._state.progress())
        self._send()

    def flush(self) -> None:
        """Hand the request log to the kernel. A disk that refuses it ends the run."""
        try:
            self._state.flush()
        except OSError as error:
            self._state.outbox.append(unwritable(self._state.log.path, error))
            self._send()
            self._end(hard=True)

    def _end(self, *, hard: bool) -> None:
        """End the users, then Locust. `hard`: without waiting for requests under way."""
        assert self._environment is not None
        if self._ending or self._environment.runner is None:
            return
        self._ending = True
        self._state.shut_down()
        if hard:
            self._environment.stop_timeout = 0.0
            gevent.spawn_later(GRACE_S, os._exit, 1)
        self._quit_locust(hard=hard)

    def _quit_locust(self, *, hard: bool) -> None:  # noqa: ARG002
        assert self._environment is not None
        assert self._environment.runner is not None
        self._environment.runner.quit()


def unwritable(path: Path, error: OSError) -> Failed:
    return Failed("recording", f"{path}: the requests cannot be written: {error.strerror or error}")


def no_configuration_files(parser: Any, **_: Any) -> None:
    """A locust.conf or pyproject.toml that happens to lie about must not change an experiment."""
    parser._default_config_files = []  # as Locust does where it wants none
