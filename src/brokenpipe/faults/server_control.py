"""The database behind a wire, as a fault sees it, and what a fault may do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

StopMode = Literal["fast", "immediate", "kill"]
"""How the server stops: fast tells every session and writes its data away; immediate tells them and writes nothing;
kill is what becomes of it when memory runs out: nobody is told anything."""


class ServerControl(Protocol):
    """One database of a server that others may share. Each method raises PostgresError if it had no effect."""

    def terminate(self) -> None:
        """End every session of this database, as pg_terminate_backend does."""

    def set(self, setting: str, value: str | None) -> None:
        """Change a setting, for sessions that live too as far as Postgres can; None: back to what it was."""

    def restart(
        self, mode: StopMode, away_s: float, *, gone: Callable[[], None], back: Callable[[], None]
    ) -> None:
        """Stop the whole server, call `gone`, start it after `away_s`, call `back` when it listens; until ready."""

    def pause(self) -> None:
        """Have the whole server stand still, with all that it holds."""

    def resume(self) -> None:
        """Have it go on; until it answers. Nothing if it does not stand still."""
