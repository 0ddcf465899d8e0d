"""One subclass of each user class for each arm: the same behaviour against another address."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from locust import FastHttpUser, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import StopTest, StopUser

from brokenpipe.load.messages import Failed, Notice
from brokenpipe.load.requests.interceptor import Courier
from brokenpipe.load.requests.origin_guard import Own
from brokenpipe.load.state import Tower
from brokenpipe.load.users.locustfile_loader import where
from brokenpipe.load.users.seeded_random import Person, become, being


def arm_classes(
    shares: Mapping[type[User], int], tower: Tower, *, all_of_them: bool = False
) -> dict[str, type[User]]:
    """Every class that Locust is to run, by name. `shares` says how many users of a class each arm gets.

    `all_of_them`: those without a user as well, who may get some later.
    """
    owns = [Own(tower, arm) for arm in tower.config.arms]
    classes: list[type[User]] = []
    before = 0
    for base, users in shares.items():
        if users or all_of_them:
            classes += (_arm_class(base, users, before, own, tower) for own in owns)
        before += users
    return {made.__name__: made for made in classes}


def _numbers(tower: Tower, before: int) -> Iterator[int]:
    """Asked for the first time when users are made: a worker has its seat by then."""
    yield from tower.seat.numbers(before)


def _arm_class(base: type[User], users: int, users_before: int, own: Own, tower: Tower) -> type[User]:
    numbers = _numbers(tower, users_before)

    class ArmUser(base):  # type: ignore[valid-type, misc]
        """A user of one arm. Its number, and with it all it draws, is the same in every arm."""

        host = tower.config.arms[own.arm]
        fixed_count = users  # Locust spawns exactly these; weights could not keep the arms equal
        before = users_before  # of the same arm, in classes before this one

        def __init__(self, environment: Environment) -> None:
            config = tower.config
            self._person = Person(config.seed, base.__name__, next(numbers), config.part)
            with being(self._person), _telling_that_it_cannot_be_made(base, tower):
                super().__init__(environment)
            client = getattr(self, "client", None)
            self._courier = None
            if isinstance(client, HttpSession | FastHttpSession):
                self._courier = Courier(tower, own, self._person, client)
                if tower.arrivals is not None:
                    self.wait_time = lambda: 0.0  # when to ask is what arrivals say

        def context(self) -> dict[str, Any]:
            if base.context is User.context:
                return {"arm": own.arm}
            return {**super().context(), "arm": own.arm}

        def on_start(self) -> None:
            become(self._person)  # the first that runs in the user's own greenlet
            with _telling_that_it_ended(f"{self._person.id} of {own.arm}", tower):
                super().on_start()
            if self._courier is not None:
                self._courier.arrives = tower.arrivals is not None

    _limit(ArmUser, tower.config.time_limit_s)
    ArmUser.__name__ = ArmUser.__qualname__ = f"{base.__name__} · {own.arm}"
    ArmUser.__module__ = base.__module__
    return ArmUser


@contextmanager
def _telling_that_it_cannot_be_made(base: type[User], tower: Tower) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        text = where(error, tower.config.locustfile)
        tower.outbox.append(Failed("locustfile", f"{base.__name__} cannot be made: {text}"))
        raise


@contextmanager
def _telling_that_it_ended(user: str, tower: Tower) -> Iterator[None]:
    """Locust ends a user whose on_start raises, and from then on its arm has one fewer."""
    try:
        yield
    except (StopUser, StopTest):
        raise
    except Exception as error:
        what = traceback.format_exception_only(error)[-1].strip()
        tower.notice(Notice("user_ended", f"{user} ended before it began: on_start raised {what}"))
        raise


def _limit(made: type[User], limit_s: float) -> None:
    """Hold geventhttpclient to the time limit; for requests each call is given one."""
    if issubclass(made, FastHttpUser):
        made.network_timeout = min(made.network_timeout, limit_s)
        made.connection_timeout = min(made.connection_timeout, limit_s)
        made.proxy_host = None  # nothing between the load and its arm
