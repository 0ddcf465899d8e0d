"""Runs that are started and stopped on Locust's own page: equal numbers of users for every arm, one run after another.

Locust's field is the total of all arms, rounded up. Every run has new user classes, so its users start again with the
same draws. The harness sends the URLs and the path of the request log before each run.
"""

# mypy: disallow-untyped-calls=False
# (Locust carries no types)

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gevent.event import AsyncResult
from gevent.timeout import Timeout
from locust import User
from locust.env import Environment
from locust.event import Events
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from brokenpipe.load.config import LoadConfig
from brokenpipe.load.control_client import ControlClient
from brokenpipe.load.request_log import RequestLog
from brokenpipe.load.requests.locust_event import RequestEvent
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.arm_classes import arm_classes
from brokenpipe.load.web.pages import WebPages
from brokenpipe.load.web_messages import (
    AllUsersStopped,
    CommandName,
    CommandReply,
    CommandRequest,
    RunTargets,
    StateUpdate,
    StopRequested,
    UserCountChanged,
    WebCommand,
)

NULL_PATH = Path(os.devnull)  # the request log between runs
REPLY_TIMEOUT_S = 10.0

UserCounts = Callable[[int], Mapping[type[User], int]]  # users of one arm → of each of its classes


class WebRunController:
    """Controls Locust's runner in runs that its page starts. `counts` allocates an arm's users to the classes."""

    def __init__(
        self, config: LoadConfig, counts: UserCounts, event: RequestEvent, control_client: ControlClient
    ) -> None:
        assert config.web is not None
        self._config = config
        self._counts = counts
        self._event = event
        self._control_client = control_client
        self._state: LoadState | None = None  # of the run that is on
        self._next_config: LoadConfig | None = None  # of the next one
        self._pending_replies: dict[int, AsyncResult] = {}
        self._last_request = 0
        self._environment: Environment
        self._runner: Any = None
        self._start: Callable[..., None] | None = None
        self.pages = WebPages(self, config.web, tuple(config.arms))

    def attach(self, events: Events) -> None:
        events.init.add_listener(self._init)
        events.test_stopping.add_listener(self._on_stop_requested)
        events.test_stop.add_listener(self._on_stopped)

    @property
    def ready(self) -> bool:
        """True if Start may be pressed or the number of users changed."""
        return self._next_config is not None or self._state is not None

    def handle_command(self, message: WebCommand) -> None:
        match message:
            case RunTargets(arms=arms, requests_path=path):
                self._next_config = replace(self._config, arms=arms, requests_path=Path(path))
            case StateUpdate(state=state):
                self.pages.show(state)
            case CommandReply(number=number, refusal=refusal):
                if waiting := self._pending_replies.pop(number, None):
                    waiting.set(refusal)

    def send_command(
        self, command: CommandName, fault: Mapping[str, Any], arms: tuple[str, ...]
    ) -> str | None:
        """Send a command to the harness. Returns why it refuses; None: it will be carried out."""
        self._last_request += 1
        self._pending_replies[self._last_request] = answer = AsyncResult()
        self._control_client.queue(CommandRequest(self._last_request, command, fault, arms))
        try:
            refusal: str | None = answer.get(timeout=REPLY_TIMEOUT_S)
        except Timeout:
            return f"no answer within {REPLY_TIMEOUT_S:g} s: the harness is busy"
        return refusal

    # --- Locust's events ----------------------------------------------------------------------------

    def _init(self, environment: Environment, **_: Any) -> None:
        self._environment, self._runner = environment, environment.runner
        self._start, self._runner.start = self._runner.start, self._start_users
        self.pages.attach(environment.web_ui)

    def _start_users(self, user_count: int, spawn_rate: float, *args: Any, **kwargs: Any) -> None:
        """Replaces the runner's `start`, which the page also calls to change the number of users."""
        assert self._start is not None
        self._environment.host = None  # set by the form; each arm has its own
        arms = len(self._config.arms)
        users = max(1, math.ceil(user_count / arms))
        if self._runner.state in {STATE_SPAWNING, STATE_RUNNING}:
            self._change_user_count(users)
            spawn_rate = users * arms  # all at once: step by step Locust would first stop the running ones
        elif self._next_config is not None:
            self._begin_run(replace(self._next_config, users=users))
        else:
            return
        self._control_client.queue(UserCountChanged(users))
        self._start(users * arms, spawn_rate, *args, **kwargs)

    def _begin_run(self, config: LoadConfig) -> None:
        self._next_config = None
        self._state = self._set_state(config)
        classes = arm_classes(self._counts(config.users), self._state, include_empty=True)
        self._environment.user_classes = list(classes.values())

    def _change_user_count(self, users: int) -> None:
        counts = {made.__name__: count for made, count in self._counts(users).items()}
        for made in self._environment.user_classes:
            made.fixed_count = counts[made.__mro__[1].__name__]
        self._runner._users_dispatcher = None  # it has the old numbers

    def _on_stop_requested(self, **_: Any) -> None:
        if self._state is not None:
            self._control_client.queue(StopRequested(time.monotonic_ns()))
            self._state.shut_down()

    def _on_stopped(self, **_: Any) -> None:
        if self._state is not None:
            self._state.finish_answered()
            self._control_client.flush()
            self._state.log.close()
            self._state = None
            self._set_state(replace(self._config, requests_path=NULL_PATH))
            self._control_client.queue(AllUsersStopped())

    def _set_state(self, config: LoadConfig) -> LoadState:
        state = LoadState(config, RequestLog(config.requests_path), self._event.publish)
        self._event.state = state
        self._control_client.set_state(state)
        return state
