"""Wrapping a library's function, where the library has no event for it."""

from __future__ import annotations

from typing import Any, Callable

from brokenpipe_witness.safe_call import record_error

Method = Callable[..., Any]


def wrap(owner: Any, name: str, around: Callable[[Method], Method]) -> None:
    """Replace a function of a class or module by `around(function)`, which must call through with its own arguments."""
    real = getattr(owner, name, None)
    if real is None:
        record_error(f"{_full_name(owner)} has no {name}: this version is not known")
        return
    wrapped = around(real)
    wrapped.__name__, wrapped.__qualname__, wrapped.__doc__ = name, real.__qualname__, real.__doc__
    setattr(owner, name, wrapped)


def _full_name(owner: Any) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner.__name__)
