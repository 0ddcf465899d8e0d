"""Start and Stop of Locust's own page: the users of every arm, in equal numbers, for one run after another.

Locust's field is the total of all arms, rounded up. Each run has users that begin anew, with the same draws, because
their classes are made anew; where they go and where their requests are written down, the harness says before it.
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
from brokenpipe.load.control_client import Steering
from brokenpipe.load.requests.locust_event import RequestEvent
from brokenpipe.load.requests.request_log import RequestLog
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.arm_classes import arm_classes
from brokenpipe.load.web.pages import Pages
from brokenpipe.load.web_messages import Aim, Answer, Ask, Halted, Halting, Show, Swarm, WebOrder, What

NOWHERE = Path(os.devnull)  # where an idle load writes
ANSWER_S = 10.0

Counts = Callable[[int], Mapping[type[User], int]]  # users of one arm → of each of its classes


class Stage:
    """Between Locust's runner and the harness. `counts` says how many of an arm's users each class gets."""

    def __init__(self, config: LoadConfig, counts: Counts, event: RequestEvent, steering: Steering) -> None:
        assert config.web is not None
        self._config = config
        self._counts = counts
        self._event = event
        self._steering = steering
        self._state: LoadState | None = None  # of the run that is on
        self._aimed: LoadConfig | None = None  # of the next one
        self._waiting: dict[int, AsyncResult] = {}
        self._asked = 0
        self._environment: Environment
        self._runner: Any = None
        self._start: Callable[..., None] | None = None
        self.pages = Pages(self, config.web, tuple(config.arms))

    def attach(self, events: Events) -> None:
        events.init.add_listener(self._init)
        events.test_stopping.add_listener(self._halting)
        events.test_stop.add_listener(self._halted)

    @property
    def ready(self) -> bool:
        """Whether somebody may press Start, or change the number of users."""
        return self._aimed is not None or self._state is not None

    def obey(self, message: WebOrder) -> None:
        match message:
            case Aim(arms=arms, requests_path=path):
                self._aimed = replace(self._config, arms=arms, requests_path=Path(path))
            case Show(scene=scene):
                self.pages.show(scene)
            case Answer(number=number, refusal=refusal):
                if waiting := self._waiting.pop(number, None):
                    waiting.set(refusal)

    def ask(self, what: What, fault: Mapping[str, Any], arms: tuple[str, ...]) -> str | None:
        """Ask the harness. Why it refuses; None: it will be done."""
        self._asked += 1
        self._waiting[self._asked] = answer = AsyncResult()
        self._steering.tell(Ask(self._asked, what, fault, arms))
        try:
            refusal: str | None = answer.get(timeout=ANSWER_S)
        except Timeout:
            return f"no answer within {ANSWER_S:g} s: the harness is busy"
        return refusal

    # --- Locust's events ----------------------------------------------------------------------------

    def _init(self, environment: Environment, **_: Any) -> None:
        self._environment, self._runner = environment, environment.runner
        self._start, self._runner.start = self._runner.start, self._started
        self.pages.attach(environment.web_ui)

    def _started(self, user_count: int, spawn_rate: float, *args: Any, **kwargs: Any) -> None:
        """In the place of the runner's `start`, which the page calls for a change of users, too."""
        assert self._start is not None
        self._environment.host = None  # what the form says: each arm has its own
        arms = len(self._config.arms)
        users = max(1, math.ceil(user_count / arms))
        if self._runner.state in {STATE_SPAWNING, STATE_RUNNING}:
            self._recount(users)
            spawn_rate = users * arms  # at once: step by step Locust would take down what is there first
        elif self._aimed is not None:
            self._begin(replace(self._aimed, users=users))
        else:
            return
        self._steering.tell(Swarm(users))
        self._start(users * arms, spawn_rate, *args, **kwargs)

    def _begin(self, config: LoadConfig) -> None:
        self._aimed = None
        self._state = self._take(config)
        classes = arm_classes(self._counts(config.users), self._state, include_empty=True)
        self._environment.user_classes = list(classes.values())

    def _recount(self, users: int) -> None:
        each = {made.__name__: count for made, count in self._counts(users).items()}
        for made in self._environment.user_classes:
            made.fixed_count = each[made.__mro__[1].__name__]
        self._runner._users_dispatcher = None  # it knows the numbers from before

    def _halting(self, **_: Any) -> None:
        if self._state is not None:
            self._steering.tell(Halting(time.monotonic_ns()))
            self._state.shut_down()

    def _halted(self, **_: Any) -> None:
        if self._state is not None:
            self._state.finish_answered()
            self._steering.flush()
            self._state.log.close()
            self._state = None
            self._take(replace(self._config, requests_path=NOWHERE))
            self._steering.tell(Halted())

    def _take(self, config: LoadConfig) -> LoadState:
        state = LoadState(config, RequestLog(config.requests_path), self._event.publish)
        self._event.state = state
        self._steering.take(state)
        return state
