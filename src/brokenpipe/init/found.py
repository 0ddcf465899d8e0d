"""What a finder returns: a value with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from brokenpipe.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value, the place that says so, such as `shop/main.py:12`, and why it was taken. A guess may be wrong."""

    value: T
    where: str
    why: str = ""
    guess: bool = False


class NotFound(UsageError):
    """Something that no file of the repository says, or that several say differently. The remedy names the option."""
