"""The database behind a proxy, as a fault controls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

StopMode = Literal["fast", "immediate", "kill"]
"""How the server stops. fast: it notifies every session and writes its data to disk. immediate: it notifies them and
writes nothing. kill: all its processes end at once, as when memory runs out, and no session is notified."""


class ServerControl(Protocol):
    """One database of a server that others may share. Each method raises PostgresError if it had no effect."""

    @property
    def pooled(self) -> bool:
        """Whether a PgBouncer is between it and its proxy, which goes on listening whatever the server does."""

    def terminate(self) -> None:
        """End every session of this database, as pg_terminate_backend does."""

    def set(self, setting: str, value: str | None) -> None:
        """Change a setting, for sessions that live too as far as Postgres can; None: back to what it was."""

    def restart(
        self,
        mode: StopMode,
        away_s: float,
        *,
        on_stopped: Callable[[], None],
        on_listening: Callable[[], None],
    ) -> None:
        """Stop the whole server, call `on_stopped`, start it after `away_s`, call `on_listening`; return when ready.

        `on_listening` is called as soon as the server accepts connections, which is before it is ready.
        """

    def pause(self) -> None:
        """Have the whole server stand still, with all that it holds."""

    def resume(self) -> None:
        """Have it go on; until it answers. Nothing if it does not stand still."""
