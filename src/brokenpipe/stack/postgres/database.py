"""The database of one arm, whose owner is an ordinary role and no superuser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import psycopg
from psycopg import sql

from brokenpipe.errors import PostgresError
from brokenpipe.faults import StopMode
from brokenpipe.stack.postgres.bounded_connection import connect_bounded
from brokenpipe.stack.postgres.certificates import Certificates
from brokenpipe.stack.postgres.leftovers import COUNT_LEFTOVERS
from brokenpipe.stack.processes.ports import poll

NO_ARMS_DATABASE = "postgres"  # every server has it; a session there counts for no arm's limit
CONNECTION_LIMIT = "connection_limit"  # no setting of the server's, but an attribute of a database
STATEMENT_TIMEOUT_S = 5.0  # for a statement of ours; measured: some ms
_EFFECT_TIMEOUT_S = 3.0  # a reload is a signal, not an answer; measured: 5 ms
_REMEDY = "See logs/postgres.log; nothing measured since is valid."

_COUNT_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
)
_LIMIT = "SELECT datconnlimit FROM pg_database WHERE datname = %s"
_SETTING = (
    "SELECT setting, source FROM pg_settings WHERE name = %s"  # in the setting's own unit: 1000, not 1s
)
_TERMINATE_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE (datname = %s OR usename = %s) AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


_DATABASES_OF = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
_END_OTHER_SESSIONS = """
SELECT count(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity
WHERE (datname = %s OR usename = %s) AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

_REMOVE_ALL = sql.SQL(
    "DROP OWNED BY {owner} CASCADE; ALTER DATABASE {name} RESET ALL; ALTER ROLE {owner} RESET ALL"
)


class DatabaseServer(Protocol):
    """The server of a database: where it is, and what is done to it as a whole."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def certificates(self) -> Certificates | None: ...

    def dsn(self, database: str = NO_ARMS_DATABASE) -> str:
        """A connection string of the superuser's."""

    def dsn_of(self, user: str, password: str, database: str) -> str: ...

    def restart(
        self,
        mode: StopMode,
        away_s: float,
        *,
        on_stopped: Callable[[], None],
        on_listening: Callable[[], None],
    ) -> None:
        """Stop it and start it again."""

    def pause(self) -> None:
        """Pause all its processes."""

    def resume(self) -> None:
        """Resume its processes. Returns when it answers."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database called `name`, of a role of that name. It satisfies faults.Server.

    What is done to it is done over a connection of the superuser's to another database, past every proxy, which no
    limit of the settings below concerns.
    """

    server: DatabaseServer
    name: str
    password: str = field(repr=False)
    limit: int = -1
    """Connections that its owner may have; -1: as many as the server allows."""
    pooled: bool = False
    """Whether a PgBouncer is between it and its proxy."""

    @property
    def user(self) -> str:
        return self.name

    def dsn(self) -> str:
        """A connection string of its owner, straight to the server."""
        return self.server.dsn_of(self.user, self.password, self.name)

    def terminate(self) -> None:
        """End every session of this database and of its owner, as pg_terminate_backend does.

        The owner's sessions in other databases are the sentinels.
        """
        with self._admin() as admin:
            admin.execute(_TERMINATE_SESSIONS, (self.name, self.user))

    def drop(self) -> None:
        """Remove it with its sessions, its owner, and every other database that its owner has made."""
        with self._admin() as admin:
            for (name,) in admin.execute(_DATABASES_OF, (self.user,)).fetchall():
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(self.user)))

    def empty(self) -> bool:
        """End its sessions and remove all that its owner has made, also in other databases.

        Returns whether it is as it was when it was created. It is not if a superuser has made something in it, or the
        schema public was changed: then drop it.
        """
        name, owner = sql.Identifier(self.name), sql.Identifier(self.user)
        with _connect(self.server.dsn(self.name)) as admin:
            admin.execute(_END_OTHER_SESSIONS, (self.name, self.user))
            for (other,) in admin.execute(_DATABASES_OF, (self.user,)).fetchall():
                if other != self.name:
                    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                    admin.execute(drop.format(sql.Identifier(str(other))))
            admin.execute(_REMOVE_ALL.format(owner=owner, name=name))
            row = admin.execute(COUNT_LEFTOVERS).fetchone()
        return row is not None and row[0] == 0

    def sessions(self) -> int:
        """Number of its sessions now."""
        return self._number(_COUNT_SESSIONS)

    def connection_limit(self) -> int:
        """Its connection limit now; -1: as many as the server allows."""
        return self._number(_LIMIT)

    def set(self, setting: str, value: str | None) -> None:
        """Change a setting of the server, or this database's connection limit; None: back to what it was.

        A time is a number of milliseconds, without a unit.
        """
        with self._admin() as admin:
            if setting == CONNECTION_LIMIT:
                change = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
                admin.execute(change.format(sql.Identifier(self.name), sql.Literal(int(value or self.limit))))
                return
            name = sql.Identifier(setting)
            if value is None:
                admin.execute(sql.SQL("ALTER SYSTEM RESET {}").format(name))
            else:
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(name, sql.Literal(value)))
            admin.execute("SELECT pg_reload_conf()")
        self._wait_for(setting, value)

    def restart(
        self,
        mode: StopMode,
        away_s: float,
        *,
        on_stopped: Callable[[], None],
        on_listening: Callable[[], None],
    ) -> None:
        """Stop the whole server and start it again, for all databases that it has.

        `on_stopped` and `on_listening` are for proxies in front of the server.
        """
        self.server.restart(mode, away_s, on_stopped=on_stopped, on_listening=on_listening)

    def pause(self) -> None:
        """Pause the whole server, with all its databases."""
        self.server.pause()

    def resume(self) -> None:
        """Resume the server. Returns when it answers."""
        self.server.resume()

    def _wait_for(self, setting: str, value: str | None) -> None:
        """Until a new session of the owner's has it: reset, a setting comes from the file no more.

        The session is in another database: there may be no room left in this one, and none of it is ours to take.
        """
        elsewhere = self.server.dsn_of(self.user, self.password, NO_ARMS_DATABASE)

        def in_force() -> bool | None:
            with _connect(elsewhere) as session:
                current, source = session.execute(_SETTING, (setting,)).fetchone() or ("", "")
            return True if (source == "default" if value is None else current == value) else None

        if poll(in_force, timeout_s=_EFFECT_TIMEOUT_S) is None:
            raise PostgresError(
                f"{self.name}: {setting} is not {value or 'back'} {_EFFECT_TIMEOUT_S:g} s later",
                remedy=_REMEDY,
            )

    def _number(self, query: str) -> int:
        with self._admin() as admin:
            row = admin.execute(query, (self.name,)).fetchone()
        return int(str(row[0])) if row else 0

    def _admin(self) -> AbstractContextManager[psycopg.Connection[tuple[object, ...]]]:
        return _connect(self.server.dsn())


@contextmanager
def _connect(dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session for as long as the block lasts. Raises PostgresError when there is none, or it ends in the block."""
    try:
        with connect_bounded(dsn, within_s=STATEMENT_TIMEOUT_S, autocommit=True) as session:
            yield session
    except psycopg.Error as error:
        reason = "refused" if error.sqlstate else "cannot be reached"
        raise PostgresError(f"postgres: {reason}: {' '.join(str(error).split())}", remedy=_REMEDY) from error
