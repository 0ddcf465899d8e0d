"""Seeded random numbers that are the same in every arm.

The functions of the module `random` share one generator, so a user's draws depend on which users drew before it. Here
each user has a generator of its own, seeded by its class and number and not by its arm: users with the same number
draw the same numbers in every arm, in whatever order they run. Greenlets that a user spawns draw from its generator.

Equal draws are not equal schedules: a faster arm simply gets further. `random.Random()` objects of a locustfile are
left alone; so are `secrets`, `uuid` and numpy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent import getcurrent

_USER_ATTRIBUTE = "_brokenpipe_user"  # of a greenlet: the user it runs for
_SHARED_GENERATOR: random.Random = random.random.__self__  # type: ignore[attr-defined]  # for draws outside of users


class UserIdentity:
    """A user apart from its arm: the same draws and the same request ids in every one of them."""

    __slots__ = ("generator", "id", "requests")

    def __init__(self, seed: int, user_class: str, number: int, part: int = 1) -> None:
        name = f"{user_class}-{number}" if part == 1 else f"r{part}-{user_class}-{number}"
        self.id = name.encode("ascii", "backslashreplace").decode()  # goes into a header
        self.generator = random.Random(f"{seed}/{self.id}")  # noqa: S311  # simulated behaviour
        self.requests = 0

    def next_request_id(self) -> str:
        self.requests += 1
        return f"{self.id}-{self.requests}"


def install(seed: int) -> None:
    """Make the functions of `random` draw from the generator of the user in whose greenlet they are called.

    Must run before the user's locustfile is loaded: `from random import choice` takes the function that is there.
    """
    _SHARED_GENERATOR.seed(seed)
    for name in dir(random):
        if getattr(getattr(random, name), "__self__", None) is _SHARED_GENERATOR:
            setattr(random, name, _drawing_for_user(name))


def bind_user(identity: UserIdentity | None) -> None:
    """Bind this greenlet, and those that it will spawn, to that user."""
    setattr(getcurrent(), _USER_ATTRIBUTE, identity)


@contextmanager
def bound_user(identity: UserIdentity) -> Iterator[None]:
    """Bind this greenlet to that user for as long as the block lasts."""
    before = current_user()
    bind_user(identity)
    try:
        yield
    finally:
        bind_user(before)


def current_user() -> UserIdentity | None:
    """The user of this greenlet: the bound one, or else that of the greenlet that spawned it."""
    greenlet = getcurrent()
    try:
        return getattr(greenlet, _USER_ATTRIBUTE)  # type: ignore[no-any-return]
    except AttributeError:
        identity = _inherited(greenlet)
        setattr(greenlet, _USER_ATTRIBUTE, identity)
        return identity


def _drawing_for_user(name: str) -> Callable[..., Any]:
    def draw(*args: Any, **kwargs: Any) -> Any:
        identity = current_user()
        return getattr(_SHARED_GENERATOR if identity is None else identity.generator, name)(*args, **kwargs)

    draw.__name__ = draw.__qualname__ = name
    return draw


def _inherited(greenlet: object) -> UserIdentity | None:
    above: object | None = greenlet
    while (parent := getattr(above, "spawning_greenlet", None)) and (above := parent()):
        if identity := getattr(above, _USER_ATTRIBUTE, None):
            return identity  # type: ignore[no-any-return]
    return None
