"""Random numbers that are the same in every arm.

The functions of the module `random` share one generator, so what a user draws depends on whose turn it was
before. Here each user is a person with a generator of its own, seeded by what it is and not by its arm: users
with the same number draw the same numbers in every arm, in whatever order they run. Greenlets that a user
spawns are the same person.

Equal draws are not equal schedules: a faster arm simply gets further. `random.Random()` objects of a
locustfile are its own affair; so are `secrets`, `uuid` and numpy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent import getcurrent

_ATTRIBUTE = "_brokenpipe_person"  # where a greenlet keeps who it is
_SHARED: random.Random = random.random.__self__  # type: ignore[attr-defined]  # drawn from outside users


class Person:
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
    """Let the functions of `random` draw from the person in whose greenlet they are called.

    Must come before the user's locustfile is loaded: `from random import choice` takes what is there.
    """
    _SHARED.seed(seed)
    for name in dir(random):
        if getattr(getattr(random, name), "__self__", None) is _SHARED:
            setattr(random, name, _drawing(name))


def become(person: Person | None) -> None:
    """Let this greenlet, and those that it will spawn, be that person."""
    setattr(getcurrent(), _ATTRIBUTE, person)


@contextmanager
def being(person: Person) -> Iterator[None]:
    """Be that person for as long as the block lasts."""
    before = current()
    become(person)
    try:
        yield
    finally:
        become(before)


def current() -> Person | None:
    """Who this greenlet is: what it became, or what the greenlet is that spawned it."""
    greenlet = getcurrent()
    try:
        return getattr(greenlet, _ATTRIBUTE)  # type: ignore[no-any-return]
    except AttributeError:
        person = _inherited(greenlet)
        setattr(greenlet, _ATTRIBUTE, person)
        return person


def _drawing(name: str) -> Callable[..., Any]:
    def draw(*args: Any, **kwargs: Any) -> Any:
        person = current()
        return getattr(_SHARED if person is None else person.generator, name)(*args, **kwargs)

    draw.__name__ = draw.__qualname__ = name
    return draw


def _inherited(greenlet: object) -> Person | None:
    above: object | None = greenlet
    while (parent := getattr(above, "spawning_greenlet", None)) and (above := parent()):
        if person := getattr(above, _ATTRIBUTE, None):
            return person  # type: ignore[no-any-return]
    return None
