"""A Postgres of our own: a fresh cluster on a free loopback port, gone with the block that asked for it."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from brokenpipe.errors import PostgresError
from brokenpipe.faults import StopMode
from brokenpipe.stack.postgres.bounded_connection import connect_bounded
from brokenpipe.stack.postgres.certificates import Certificates, remedy_without_tls
from brokenpipe.stack.postgres.cluster import SETTINGS, USER, Cluster, make_cluster, option
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK, START_ATTEMPTS, free_port, is_taken, poll
from brokenpipe.stack.processes.process import Child, child
from brokenpipe.stack.processes.scratch import scratch_folder

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
STOP_SIGNALS: Mapping[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_SUPERUSER_SETTINGS = {
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "default_transaction_read_only": "off",
}

_ADDRESS_SETTINGS = {"listen_addresses": LOOPBACK, "unix_socket_directories": ""}  # no socket files


class Postgres:
    """A running server. Made by `postgres`. The password is random for each run and stays out of every record.

    `child` is its process, another one after a restart.
    """

    def __init__(self, launch: PostgresLaunch, child: Child, version: str, running: ExitStack) -> None:
        self.host = launch.host
        self.port = launch.port
        self.version = version
        self.child = child
        self.user = USER
        self.password = launch.password
        self.certificates = launch.certificates
        self._launch = launch
        self._running = running
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._paused = False

    def dsn(self, database: str = "postgres", *, host: str | None = None, port: int | None = None) -> str:
        """A connection string that goes straight to the server, unless the address of a proxy is given."""
        address = (host or self.host, port or self.port)
        return _dsn(self.user, self.password, address, database, self.certificates)

    def dsn_of(self, user: str, password: str, database: str) -> str:
        return _dsn(user, password, (self.host, self.port), database, self.certificates)

    def create_database(
        self, name: str, limit: int | None = None, *, may_create_others: bool = False
    ) -> Database:
        """An empty database, one for each arm, so that arms never wait for each other's locks.

        Its owner is an ordinary role: a superuser is exempt from connection limits, and a service is none. `limit`:
        connections that it may have, so that no arm takes another's (docs/decisions/0117-a-limit-for-each-arm.md).
        `may_create_others`: whether the role may create databases.

        Raises PostgresError.
        """
        password, limit = secrets.token_urlsafe(18), -1 if limit is None else limit
        try:
            self._create(name, password, limit, "CREATEDB" if may_create_others else "")
        except psycopg.Error as error:
            raise PostgresError(
                f"the database {name} could not be created: {error}",
                remedy="Look at the server's own log in the folder of the report, logs/postgres.log.",
            ) from error
        return Database(self, name, password, limit)

    def _create(self, name: str, password: str, limit: int, privilege: str) -> None:
        owner = sql.Identifier(name)
        with connect_bounded(self.dsn(), within_s=READY_TIMEOUT_S, autocommit=True) as connection:
            login = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}")
            secret = _encrypt_password(connection, name, password)
            connection.execute(login.format(owner, sql.SQL(privilege), secret))
            create = sql.SQL("CREATE DATABASE {} OWNER {} CONNECTION LIMIT {}")
            connection.execute(create.format(owner, owner, sql.Literal(limit)))

    def restart(
        self,
        mode: StopMode,
        away_s: float,
        *,
        on_stopped: Callable[[], None],
        on_listening: Callable[[], None],
    ) -> None:
        """Stop it, call `on_stopped`, start it after `away_s` on the same port, call `on_listening` when it listens.

        Returns when it is ready. Raises PostgresError.
        """
        with self._lock:
            self._stop(mode)
            try:
                on_stopped()
                self._closing.wait(away_s)
            finally:  # it is started again even if on_stopped raises
                try:
                    self._running.close()  # the process that has ended
                    self.child = self._running.enter_context(self._launch.start())
                    poll(self._listens, timeout_s=READY_TIMEOUT_S, every_s=0.003)
                finally:
                    on_listening()
            _wait_ready(self.dsn(), self.child)

    def pause(self) -> None:
        """Pause all its processes: connections stay open and get no answer. Raises StackError."""
        with self._lock:
            self._paused = True  # set first, so that a failure in between is undone by resume
            self.child.freeze()

    def resume(self) -> None:
        """Resume its processes. Returns when it answers. Raises StackError."""
        with self._lock:
            if self._paused:
                self._resume_processes()
                _wait_ready(self.dsn(), self.child)

    def _resume_processes(self) -> None:
        self.child.thaw()
        self._paused = False

    def _stop(self, mode: StopMode) -> None:
        if mode == "kill":
            self.child.kill()
        else:
            self.child.signal(STOP_SIGNALS[mode])
        try:
            self.child.popen.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise PostgresError(
                f"postgres: no end {STOP_TIMEOUT_S:g} s after the signal to stop ({mode})",
                remedy="See logs/postgres.log.",
            ) from error

    def _listens(self) -> bool | None:
        """True once it accepts connections, False if it has ended. Tried by connecting: a bind could take its port."""
        if not self.child.running:
            return False
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return None

    def close(self) -> None:
        """End the server. A restart under way is cut short first; a paused server is resumed."""
        self._closing.set()
        with self._lock, self._running:
            if self._paused:
                self._resume_processes()


class PostgresLaunch(Protocol):
    """Starts a server on its data, each time in the same way and at the same address."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def password(self) -> str: ...

    @property
    def certificates(self) -> Certificates | None:
        """Its certificates, if it uses TLS."""

    def start(self) -> AbstractContextManager[Child]:
        """Its process, for as long as the block lasts. Raises StackError."""


@dataclass(frozen=True, slots=True)
class _LocalPostgresLaunch:
    """A child process on a cluster of our own."""

    cluster: Cluster
    port: int
    max_connections: int
    log_path: Path
    janitor: Janitor
    host: str = LOOPBACK

    @property
    def password(self) -> str:
        return self.cluster.password

    @property
    def certificates(self) -> Certificates | None:
        return self.cluster.certificates

    def start(self) -> AbstractContextManager[Child]:
        settings = SETTINGS | _ADDRESS_SETTINGS
        if self.certificates:
            settings |= self.certificates.server_settings
        settings |= {"port": str(self.port), "max_connections": str(self.max_connections)}
        options = [part for setting in settings.items() for part in option(*setting)]
        return child(
            "postgres",
            self.cluster.command("postgres", *options),
            log_path=self.log_path,
            janitor=self.janitor,
            cwd=self.cluster.data,
            stop_signal=signal.SIGINT,  # "fast": connections are ended, nothing is waited for
            undo_signal=signal.SIGQUIT,  # "immediate": it takes its backends and memory along
        )


@contextmanager
def postgres(
    *,
    log_path: Path,
    janitor: Janitor,
    max_connections: int = 200,
    tls: bool = False,
    binaries: Path | None = None,
) -> Iterator[Postgres]:
    """A server for as long as the block lasts. Ready when it answers a query.

    `tls`: it refuses connections without TLS; its certificate is made for this run. `binaries`: the folder of other
    programs than those of the package.
    Raises PostgresError when it cannot be initialised or started, StackError when there is no place for it.
    """
    with scratch_folder("brokenpipe-pg-", janitor) as folder:
        cluster = make_cluster(folder, janitor, tls=tls, binaries=binaries)
        server = _start_local(cluster, log_path, janitor, max_connections)
        try:
            yield server
        finally:
            server.close()


def _start_local(cluster: Cluster, log_path: Path, janitor: Janitor, max_connections: int) -> Postgres:
    """A server that answers; on another port if another program took the first one."""
    for attempts_left in reversed(range(START_ATTEMPTS)):
        launch = _LocalPostgresLaunch(cluster, free_port(), max_connections, log_path, janitor)
        try:
            return start_server(launch, cluster.initial_password)
        except PostgresError:
            if not (attempts_left and is_taken(launch.port)):
                raise
    raise AssertionError("the last attempt returns or raises")


def start_server(launch: PostgresLaunch, initial_password: str | None = None) -> Postgres:
    """A server that answers; the caller closes it. `initial_password`: its password at this start, if another one.

    Raises PostgresError when it does not come up.
    """
    password = initial_password or launch.password
    dsn = _dsn(USER, password, (launch.host, launch.port), "postgres", launch.certificates)
    with ExitStack() as running:
        server = running.enter_context(launch.start())
        version = _wait_ready(dsn, server)
        _prepare_superuser(dsn, launch.password)
        return Postgres(launch, server, version, running.pop_all())


def _dsn(
    user: str, password: str, address: tuple[str, int], database: str, certificates: Certificates | None
) -> str:
    parameters = f"?{urlencode(certificates.client_parameters)}" if certificates else ""
    return f"postgresql://{user}:{password}@{address[0]}:{address[1]}/{database}{parameters}"


def _prepare_superuser(dsn: str, password: str) -> None:
    """Its password of this run; and its sessions are kept out of the limits that faults set.

    A role's settings go before the server's.
    """
    with connect_bounded(dsn, within_s=READY_TIMEOUT_S, autocommit=True) as connection:
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(change.format(sql.Identifier(USER), _encrypt_password(connection, USER, password)))
        for setting, value in _SUPERUSER_SETTINGS.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    sql.Identifier(USER), sql.Identifier(setting), sql.Literal(value)
                )
            )


def _encrypt_password(connection: psycopg.Connection[Any], role: str, password: str) -> sql.Literal:
    """Encrypted here: a statement that fails stands in the server's log as it was sent."""
    secret = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return sql.Literal(secret.decode())


def _wait_ready(dsn: str, server: Child) -> str:
    """The server's version, once it answers."""
    version = poll(lambda: _version(dsn, server), timeout_s=READY_TIMEOUT_S)
    if version is None:
        raise _start_error(server, f"did not answer within {READY_TIMEOUT_S:.0f} s")
    return version


def _version(dsn: str, server: Child) -> str | None:
    if not server.running:
        raise _start_error(server, f"ended while starting: {server.exit_text}")
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            return str(connection.info.parameter_status("server_version"))
    except psycopg.OperationalError:
        return None


def _start_error(server: Child, reason: str) -> PostgresError:
    lines = server.last_lines()
    remedy = remedy_without_tls(lines) or f"The whole log is {server.log_path}."
    return PostgresError(f"postgres {reason}", remedy=remedy, details=lines)
