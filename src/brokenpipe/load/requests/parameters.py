"""Arguments that a locustfile passes to `client.request`: by name, and with no timeout above the limit."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

from urllib3.util import Timeout

_BEFORE = 3  # method, url and name, which the interceptor passes on itself


def keyword_arguments(send: Callable[..., Any], positional: tuple[Any, ...]) -> dict[str, Any]:
    """Positional arguments after `name`, by the names that the client's own `request` has for them.

    Raises TypeError for more than it takes, as the client itself would.
    """
    names = _positional_names(getattr(send, "__func__", send))
    if len(positional) > len(names):
        raise TypeError(f"request() takes at most {_BEFORE + len(names)} arguments by position")
    return dict(zip(names, positional, strict=False))


@lru_cache
def _positional_names(function: FunctionType) -> tuple[str, ...]:
    by_position = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [
        each.name for each in inspect.signature(function).parameters.values() if each.kind is by_position
    ]
    return tuple(names[names.index("method") + _BEFORE :])


def limit_timeout(given: Any, limit_s: float) -> Any:
    """A timeout of requests with no part above the limit: a number, (connect, read), or a Timeout of urllib3."""
    if isinstance(given, Timeout):
        within = given.clone()
        within.total = limit_timeout(_seconds(given.total), limit_s)  # bounds both parts
        return within
    if isinstance(given, tuple):
        return tuple(limit_s if part is None else min(part, limit_s) for part in given)
    return limit_s if given is None else min(given, limit_s)


def _seconds(part: Any) -> float | None:
    """None for urllib3's mark of a limit that is left to the system."""
    return part if isinstance(part, int | float) else None
