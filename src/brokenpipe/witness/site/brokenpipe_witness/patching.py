"""Wrapping a method of a library's class, where the library has no event for it."""

from __future__ import annotations

from typing import Any, Callable

from brokenpipe_witness.safe_call import record_error

Method = Callable[..., Any]


def wrap(owner: type, name: str, around: Callable[[Method], Method]) -> None:
    """Replace `owner.name` by `around(owner.name)`, which must call through with its own arguments."""
    real = getattr(owner, name, None)
    if real is None:
        record_error(f"{owner.__module__}.{owner.__qualname__} has no {name}: this version is not known")
        return
    wrapped = around(real)
    wrapped.__name__, wrapped.__qualname__, wrapped.__doc__ = name, real.__qualname__, real.__doc__
    setattr(owner, name, wrapped)
