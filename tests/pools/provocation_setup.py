"""Where failures are provoked: a witnessed service for each driver, servers to break, and ways to break them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import requests

from brokenpipe.stack.postgres.certificates import SSL_MODE, Certificates, make_certificates
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.drop_root import unprivileged_runner
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.stack.processes.process import Child, child, clean_environment
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.witness import environment

from .conftest import APPS, ARM, Line, Service, Wire, until

DRIVERS = ("asyncpg", "psycopg", "psycopg2")
WITHOUT_ENGINE = ("pipeline", "psqlpy")  # these take no more than a DSN
VERIFIED = {"asyncpg": {"ssl": SSL_MODE}, "psycopg": {"sslmode": SSL_MODE}, "psycopg2": {"sslmode": SSL_MODE}}

# A COMMIT that takes its time: a deferred trigger sleeps in it.
_SCHEMA = """
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END';
CREATE TABLE slow_commit (a int);
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow_commit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger();
CREATE TABLE slow_insert (a int);
CREATE TRIGGER early BEFORE INSERT ON slow_insert FOR EACH ROW EXECUTE FUNCTION linger();
CREATE TABLE once (a int PRIMARY KEY);
INSERT INTO once VALUES (1);
CREATE TABLE locked (a int);
CREATE ROLE crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 0;
CREATE DATABASE crowded CONNECTION LIMIT 0;
CREATE ROLE plain LOGIN PASSWORD 'plain';
"""


_BOUNCER = """
[databases]
taken = {upstream} pool_size=1
spare = {upstream}
gone = host={host} port={gone}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
query_wait_timeout = 1
ignore_startup_parameters = extra_float_digits
"""


@dataclass(frozen=True)
class Case:
    """A failure on purpose.

    `where`: the DSN's part behind `//`. `visits`: what the service does (see
    apps/failing_service.py). `disturb` is done to the wire while the service waits: at its gate, or in a statement
    (`busy`).
    """

    visits: Sequence[Any]
    where: Callable[[Ground], str] | None = None  # None: through a proxy of its own to `server`
    server: str = ""  # the common one
    tls: bool = False  # to a server that lets nobody in without, and is checked
    armed: bool = True
    disturb: Callable[[Wire, str], None] | None = None  # the second: its application_name
    busy: bool = False
    ends: bool = True  # the connections end by the disturbance
    engine: Mapping[str, Any] = field(default_factory=dict)
    connect: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # driver's connect arguments
    limit_s: float | None = None
    answer: int | None = None


@dataclass(frozen=True)
class Ground:
    """All of it, while the tests of a session run."""

    database: Postgres
    toxiproxy: ToxiproxyServer
    folder: Path
    services: dict[str, Service]
    ends: ExitStack
    made: dict[str, Postgres] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def provoke(self, case: Case, driver: str) -> Line:
        """What the witness wrote about the request that failed."""
        if driver not in self.services:
            folder = self.folder / driver
            self.services[driver] = self.ends.enter_context(_service(folder, trusted(self.folder)))
        if case.tls:
            target = self.server("tls", tls=True)
            case = replace(case, connect=VERIFIED)
        else:
            target = self.server(case.server) if case.server else self.database
        with self.toxiproxy.scratch_proxy((target.host, target.port), rst_on_close=case.armed) as proxy:
            wire = Wire(proxy, target)
            where = case.where(self) if case.where else address(target, proxy.port)
            return self._provoke(case, driver, wire, f"postgresql+{driver}://{where}")

    def _provoke(self, case: Case, driver: str, wire: Wire, dsn: str) -> Line:
        request_id = f"{driver}-{secrets.token_hex(4)}"
        if driver in WITHOUT_ENGINE:
            dsn = f"{dsn}?application_name={request_id}"
        service = replace(self.services[driver], upstream_port=wire.port)
        engine = {
            **case.engine,
            "connect_args": {**case.connect.get(driver, {}), **_name(driver, request_id)},
        }
        plan = {
            "dsn": dsn,
            "engine": engine,
            "visits": case.visits,
            "limit_s": case.limit_s,
            "answer": case.answer,
        }
        request = service.start(f"/act?{quote(json.dumps(plan))}", request_id)
        try:
            self._disturb(case, wire, service, request_id)
        finally:
            service.get("/release")
            with suppress(requests.RequestException):  # an answer that was begun is torn
                request.result()
            terminate(wire, request_id)  # a server process at work does not notice that its client is gone
        return service.request(request_id)

    def _disturb(self, case: Case, wire: Wire, service: Service, name: str) -> None:
        if case.busy:
            _wait_busy(wire.database, name)
        elif "GATE" in json.dumps(case.visits):
            service.wait_held()
        if case.disturb is not None:
            case.disturb(wire, name)
            if case.ends and not case.busy:
                service.wait_wire_ended()

    def bouncer(self) -> int:
        """The port of a PgBouncer in front of the common server; its database `taken` has one connection."""
        if "bouncer" not in self.ports:
            self.ports["bouncer"] = self.ends.enter_context(_bouncer(self.database, self.folder))
        return self.ports["bouncer"]

    def server(self, name: str, **options: Any) -> Postgres:
        """A server of its own under that name, for what would harm others."""
        if name not in self.made:
            log = self.folder / f"{name}.log"
            self.made[name] = self.ends.enter_context(postgres(log_path=log, janitor=NoJanitor(), **options))
            if certificates := self.made[name].certificates:
                self.trust(certificates)
        return self.made[name]

    def trust(self, certificates: Certificates) -> None:
        """Let the services trust whatever this authority certifies."""
        with trusted(self.folder).open("ab") as known:
            known.write(certificates.authority.read_bytes())


@contextmanager
def standing_on(database: Postgres, toxiproxy: ToxiproxyServer, folder: Path) -> Iterator[Ground]:
    """A ground, with its services started."""
    with psycopg.connect(database.dsn(), autocommit=True) as connection:
        for statement in _SCHEMA.strip().split(";\n"):
            connection.execute(statement.encode())
    with ExitStack() as ends:
        holder = ends.enter_context(psycopg.connect(database.dsn()))
        holder.execute("LOCK TABLE locked")
        trusted(folder).touch()
        services = {
            driver: ends.enter_context(_service(folder / driver, trusted(folder))) for driver in DRIVERS
        }
        ground = Ground(database, toxiproxy, folder, services, ends)
        spare = folder / "nobody"
        spare.mkdir()
        ground.trust(make_certificates(spare))  # a file without any could not be read
        yield ground


def trusted(folder: Path) -> Path:
    """The authorities that the services trust."""
    return folder / "trusted.pem"


@contextmanager
def _service(folder: Path, trusted: Path) -> Iterator[Service]:
    folder.mkdir()
    port = free_port()
    with (
        ThreadPoolExecutor() as client,
        child(
            "failing_service",
            [sys.executable, "-m", "uvicorn", "failing_service:app", "--host", LOOPBACK, "--port", str(port)],
            log_path=folder / "service.log",
            janitor=NoJanitor(),
            env=clean_environment(
                environment(ARM, folder) | {"BROKENPIPE_EVERY_REQUEST": "1", "PGSSLROOTCERT": str(trusted)}
            ),
            cwd=APPS,
        ) as process,
    ):
        service = Service(f"http://{LOOPBACK}:{port}", process, folder, 0, client)
        until(lambda: _up(service), "the service to answer")
        yield service
        process.stop(signal.SIGKILL, 5)


def _up(service: Service) -> bool | None:
    assert service.process.running, "\n".join(service.process.last_lines(30))
    with suppress(OSError):
        return service.get("/held") == 200 or None
    return None


def address(
    server: Postgres, port: int, user: str = "", password: str = "", database: str = "postgres"
) -> str:
    return f"{user or server.user}:{password or server.password}@{LOOPBACK}:{port}/{database}"


def _name(driver: str, name: str) -> dict[str, Any]:
    """The application's name in pg_stat_activity, told in each driver's way."""
    return (
        {"server_settings": {"application_name": name}} if driver == "asyncpg" else {"application_name": name}
    )


def terminate(wire: Wire, name: str) -> None:
    """End one client's connections at the server's side."""
    with psycopg.connect(wire.database.dsn(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name]
        )


def _wait_busy(server: Postgres, name: str) -> None:
    """Return when the server is at work on the statement, or the COMMIT, in which this client sleeps."""
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = %s"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        until(lambda: connection.execute(sleeping, [name]).fetchone(), "a statement under way")


@contextmanager
def _bouncer(server: Postgres, folder: Path) -> Iterator[int]:
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine (on Debian: apt-get install pgbouncer)")
    port, config, users = free_port(), folder / "pgbouncer.ini", folder / "pgbouncer.users"
    users.write_text('"a" "b"\n')
    upstream = (
        f"host={server.host} port={server.port} user={server.user} password={server.password} dbname=postgres"
    )
    config.write_text(
        _BOUNCER.format(upstream=upstream, host=LOOPBACK, port=port, users=users, gone=free_port())
    )
    run_as = unprivileged_runner()
    run_as.chown(config)
    run_as.chown(users)
    with child(
        "pgbouncer",
        [*run_as.prefix, program, str(config)],
        log_path=folder / "pgbouncer.log",
        janitor=NoJanitor(),
        cwd=folder,
    ) as process:
        until(lambda: _listens(process, port), "PgBouncer to listen")
        yield port


def _listens(process: Child, port: int) -> bool | None:
    assert process.running, "\n".join(process.last_lines(30))
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return None
