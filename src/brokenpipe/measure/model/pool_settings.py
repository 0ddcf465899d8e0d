"""How a service made its pool, as the witness read it from the pool itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SIZE_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "sqlalchemy": ("pool_size",),
    "psycopg_pool": ("max_size", "min_size"),
    "asyncpg": ("max_size", "min_size"),
    "psycopg2": ("maxconn", "minconn"),
}
"""By library: the argument with the most connections that a pool opens, and the one with the fewest that it keeps."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """A constructor and its arguments: numbers and flags; a text is Python source, a mapping is a dictionary."""

    library: str
    constructor: str
    arguments: Mapping[str, object]

    def with_size(self, size: int) -> PoolSettings | None:
        """The same pool with at most so many connections; None: it is not known which argument says so."""
        most, *fewest = SIZE_ARGUMENTS.get(self.library, ("",))
        if most not in self.arguments:
            return None
        changed: dict[str, object] = {most: size}
        for name in fewest:
            kept = self.arguments.get(name)
            if isinstance(kept, int):
                changed[name] = min(kept, size)
        if "max_overflow" in self.arguments:
            changed["max_overflow"] = 0
        return PoolSettings(self.library, self.constructor, {**self.arguments, **changed})
