"""Shards of the users, one for each worker: every number of every class belongs to exactly one.

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
class Shard:
    """The users of one worker: `number` counts from 0, `of` is the number of workers."""

    number: int
    of: int

    @property
    def name(self) -> str:
        """The worker's name in files and reports."""
        return f"w{self.number + 1}"

    def user_numbers(self, before: int = 0) -> Iterator[int]:
        """The user numbers of this worker, without end. `before`: users of the classes before this one.

        A class begins where the one before it ended, or the first worker would get the remainder of every class.
        """
        return count((self.number - before) % self.of, self.of)

    def user_count(self, users: int, before: int = 0) -> int:
        """How many of `users` belong to this worker."""
        return len(range((self.number - before) % self.of, users, self.of))


SINGLE = Shard(0, 1)  # one process has all users
