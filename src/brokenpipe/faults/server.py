"""The database behind a wire, as a fault sees it, and what a fault may do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

StopMode = Literal["fast", "immediate"]
"""How the server stops: fast tells every session and writes its data away; immediate is what a crash looks like."""


class Server(Protocol):
    """One database of a server that others may share. Each method raises PostgresError if it had no effect."""

    def terminate(self) -> None:
        """End every session of this database, as pg_terminate_backend does."""

    def set(self, setting: str, value: str | None) -> None:
        """Change a setting, for sessions that live too as far as Postgres can; None: back to what it was."""

    def restart(
        self, mode: StopMode, away_s: float, *, gone: Callable[[], None], back: Callable[[], None]
    ) -> None:
        """Stop the whole server, call `gone`, start it after `away_s`, call `back` when it listens; until ready."""


class NoServer:
    """A server to which nothing happens, to see that a probe notices."""

    def terminate(self) -> None:
        pass

    def set(self, setting: str, value: str | None) -> None:
        pass

    def restart(
        self, mode: StopMode, away_s: float, *, gone: Callable[[], None], back: Callable[[], None]
    ) -> None:
        pass
