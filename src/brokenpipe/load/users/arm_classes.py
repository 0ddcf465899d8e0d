"""Subclasses of every user class, one for each arm: the same behaviour against another address."""

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
from brokenpipe.load.requests.interceptor import RequestInterceptor
from brokenpipe.load.requests.origin_guard import ArmOrigin
from brokenpipe.load.seeded_random import UserIdentity, bind_user, bound_user
from brokenpipe.load.state import LoadState
from brokenpipe.load.users.locustfile_loader import error_location


def arm_classes(
    user_counts: Mapping[type[User], int], state: LoadState, *, include_empty: bool = False
) -> dict[str, type[User]]:
    """All classes for Locust, by name. `user_counts` holds how many users of a class each arm gets.

    `include_empty`: with the classes that have no user now and may get some later.
    """
    origins = [ArmOrigin(state, arm) for arm in state.config.arms]
    classes: list[type[User]] = []
    before = 0
    for base, users in user_counts.items():
        if users or include_empty:
            classes += (_arm_class(base, users, before, origin, state) for origin in origins)
        before += users
    return {made.__name__: made for made in classes}


def _numbers(state: LoadState, before: int) -> Iterator[int]:
    """The numbers of this process's users. Begun when users are made, because a worker has its shard by then."""
    yield from state.shard.user_numbers(before)


def _arm_class(base: type[User], users: int, before: int, origin: ArmOrigin, state: LoadState) -> type[User]:
    numbers = _numbers(state, before)

    class ArmUser(base):  # type: ignore[valid-type, misc]
        """A user of one arm. Its number, and with it all it draws, is the same in every arm."""

        host = state.config.arms[origin.arm]
        fixed_count = users  # Locust spawns exactly these; weights could not keep the arms equal
        users_before = before  # of the same arm, in classes before this one

        def __init__(self, environment: Environment) -> None:
            config = state.config
            self._identity = UserIdentity(config.seed, base.__name__, next(numbers), config.part)
            with bound_user(self._identity), _report_init_error(base, state):
                super().__init__(environment)
            client = getattr(self, "client", None)
            self._interceptor = None
            if isinstance(client, HttpSession | FastHttpSession):
                self._interceptor = RequestInterceptor(state, origin, self._identity, client)
                if state.open_load is not None:
                    self.wait_time = lambda: 0.0  # arrivals decide when to send

        def context(self) -> dict[str, Any]:
            if base.context is User.context:
                return {"arm": origin.arm}
            return {**super().context(), "arm": origin.arm}

        def on_start(self) -> None:
            bind_user(self._identity)  # the first that runs in the user's own greenlet
            with _report_user_end(f"{self._identity.id} of {origin.arm}", state):
                super().on_start()
            if self._interceptor is not None:
                self._interceptor.sends_arrivals = state.open_load is not None

    _limit(ArmUser, state.config.time_limit_s)
    ArmUser.__name__ = ArmUser.__qualname__ = f"{base.__name__} · {origin.arm}"
    ArmUser.__module__ = base.__module__
    return ArmUser


@contextmanager
def _report_init_error(base: type[User], state: LoadState) -> Iterator[None]:
    """Report a user class whose constructor raises: the load cannot go on."""
    try:
        yield
    except Exception as error:
        text = error_location(error, state.config.locustfile)
        state.outbox.append(Failed("locustfile", f"{base.__name__} cannot be made: {text}"))
        raise


@contextmanager
def _report_user_end(user: str, state: LoadState) -> Iterator[None]:
    """Report a user whose on_start raises: Locust ends it, and from then on its arm has one user fewer."""
    try:
        yield
    except (StopUser, StopTest):
        raise
    except Exception as error:
        what = traceback.format_exception_only(error)[-1].strip()
        state.add_notice(Notice("user_ended", f"{user} ended before it began: on_start raised {what}"))
        raise


def _limit(made: type[User], limit_s: float) -> None:
    """Set the time limit of geventhttpclient. With requests, each call gets it as an argument."""
    if issubclass(made, FastHttpUser):
        made.network_timeout = min(made.network_timeout, limit_s)
        made.connection_timeout = min(made.connection_timeout, limit_s)
        made.proxy_host = None  # nothing between the load and its arm
