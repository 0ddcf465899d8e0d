"""Which worker is which user: every number of every class once, whoever of the workers is free.

    users of a class    0  1  2  3  4  5  6      the same in each arm
    of worker           1  2  3  1  2  3  1      of three

A user draws by its number (`seeded_random.py`), so the load is the same with any number of workers. Every worker has
as many users of one arm as of another. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place among the others: `number` counts from 0."""

    number: int
    of: int

    @property
    def name(self) -> str:
        """What the worker is called in files and reports."""
        return f"w{self.number + 1}"

    def numbers(self, before: int = 0) -> Iterator[int]:
        """The numbers that are this worker's, without end. `before`: users of the classes before this one.

        Classes begin where those before them ended, or the first worker would get what does not divide of each.
        """
        return count((self.number - before) % self.of, self.of)

    def share(self, users: int, before: int = 0) -> int:
        """How many of so many users are this worker's."""
        return len(range((self.number - before) % self.of, users, self.of))


ALONE = Seat(0, 1)  # one process has all users
