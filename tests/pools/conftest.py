"""Services under uvicorn with the witness in them, and a real Postgres behind a real Toxiproxy."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import pytest
import requests

from brokenpipe.errors import StackError
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port, poll
from brokenpipe.stack.processes.process import Child, child, clean_environment
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary
from brokenpipe.witness import environment, files_of

APPS = Path(__file__).parent / "apps"
PROXIES = Path(__file__).parents[2] / "proxies"
ARM = "plain"
PATIENCE_S = 10.0  # nothing here takes a second; a busy machine may

T = TypeVar("T")
Line = dict[str, Any]


def until(attempt: Callable[[], T | None], what: str) -> T:
    """What `attempt` returns once it returns something; fails with `what` it was waiting for."""
    result = poll(attempt, timeout_s=PATIENCE_S)
    assert result is not None, f"waited {PATIENCE_S:g} s for {what}"
    return result


@dataclass(frozen=True)
class Service:
    """A target under uvicorn, its way to the database, and what the witness has written about it."""

    url: str
    process: Child
    folder: Path
    upstream_port: int
    client: ThreadPoolExecutor

    def get(self, path: str, request_id: str | None = None) -> int:
        """The status of the answer."""
        return self.response(path, request_id).status_code

    def response(self, path: str, request_id: str | None = None) -> requests.Response:
        headers = {"X-Request-ID": request_id} if request_id else {}
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.url + path, headers=headers, timeout=PATIENCE_S * 2)

    def start(self, path: str, request_id: str) -> Future[int]:
        """The same in the background: for requests that wait at the gate."""
        return self.client.submit(self.get, path, request_id)

    def wait_held(self, count: int = 1) -> None:
        """Return when so many requests hold a connection at the gate."""
        until(lambda: True if self.response("/held").text == str(count) else None, f"{count} at the gate")

    def open(self, count: int) -> None:
        """Fill its pool with so many idle connections."""
        requests_ = [self.start("/hold", f"open-{n}") for n in range(count)]
        self.wait_held(count)
        self.get("/release")
        assert [each.result() for each in requests_] == [200] * count

    def lines(self, kind: str) -> list[Line]:
        """What the witness has written so far, of one kind. Every line is whole."""
        return [line for path in files_of(self.folder, ARM) for line in read(path) if line["k"] == kind]

    def request(self, request_id: str) -> Line:
        """The line about one request, once it is over."""
        return until(
            lambda: next((line for line in self.lines("request") if line["id"] == request_id), None),
            f"the line about request {request_id}",
        )

    def wait_wire_ended(self) -> None:
        """Return when none of its connections to the database is open at its own end of the wire."""
        until(lambda: None if self._established() else True, "the end of its connections")

    def wire_ports(self) -> set[int]:
        """Its own ports of its connections to the database."""
        return {each.laddr.port for each in self._established()}

    def wait_ports_ended(self, ports: set[int]) -> None:
        """The same of these connections; some libraries open others at once."""
        until(lambda: True if not ports & self.wire_ports() else None, "the end of these connections")

    @staticmethod
    def until(attempt: Callable[[], T | None], what: str) -> T:
        """Wait for something, with a deadline."""
        return until(attempt, what)

    @staticmethod
    def now() -> int:
        """The clock of the witness's lines."""
        return time.monotonic_ns()

    @staticmethod
    def wait_busy(database: Postgres) -> None:
        """Return when the server is at work on someone's statement."""
        with psycopg.connect(database.dsn(), autocommit=True) as connection:
            sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            until(lambda: connection.execute(sleeping).fetchone(), "a statement under way")

    def _established(self) -> list[Any]:
        return [
            each
            for each in psutil.Process(self.process.pid).net_connections("tcp")
            if each.raddr and each.raddr.port == self.upstream_port and each.status == psutil.CONN_ESTABLISHED
        ]


def read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True)
class Wire:
    """The way from services to the database, and two ways to end every connection on it."""

    proxy: Proxy
    database: Postgres

    @property
    def port(self) -> int:
        return self.proxy.port

    def dsn(self, driver: str) -> str:
        return f"postgresql+{driver}://{self.database.user}:{self.database.password}@{LOOPBACK}:{self.port}/postgres"

    def end(self, how: str) -> None:
        """End them as the network would (reset, fin), or as the server would (terminate)."""
        if how == "terminate":
            with psycopg.connect(self.database.dsn(), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
        else:
            self.proxy.kill()


Start = Callable[..., AbstractContextManager[Service]]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One server for all tests of this folder."""
    log = tmp_path_factory.mktemp("postgres") / "postgres.log"
    with ExitStack() as stack:
        yield _enter(stack, lambda: postgres(log_path=log, janitor=NoJanitor()))


@pytest.fixture(scope="session")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToxiproxyServer]:
    """One server for all tests of this folder."""
    log = tmp_path_factory.mktemp("toxiproxy") / "toxiproxy.log"
    with ExitStack() as stack:
        yield _enter(
            stack, lambda: toxiproxy_server(toxiproxy_binary(PROXIES), log_path=log, janitor=NoJanitor())
        )


def _enter(stack: ExitStack, server: Callable[[], AbstractContextManager[T]]) -> T:
    """Start what a person's machine may lack; in CI it must be there."""
    try:
        return stack.enter_context(server())
    except StackError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def how() -> str:
    """How the wire ends connections; a test that asks about several parametrizes it."""
    return "reset"


@pytest.fixture
def wire(toxiproxy: ToxiproxyServer, database: Postgres, how: str) -> Iterator[Wire]:
    """A proxy of this test's own."""
    with toxiproxy.scratch_proxy((database.host, database.port), rst_on_close=how == "reset") as proxy:
        wire = Wire(proxy, database)
        yield wire
        wire.end("terminate")  # a backend at work does not notice that its client is gone


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a service with the witness in it. No password may ever be in what that writes."""
    return partial(running, tmp_path)


@contextmanager
def running(
    folder: Path,
    app: str = "pooled",
    *,
    wire: Wire | None = None,
    driver: str = "asyncpg",
    dsn: str = "",
    engine: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """A service whose witness writes into `folder`."""
    port = free_port()
    variables = {"DSN": dsn or (wire.dsn(driver) if wire else ""), "ENGINE": json.dumps(engine or {})}
    with (
        ThreadPoolExecutor() as client,  # outermost: its requests end when the service does
        child(
            app,
            [sys.executable, "-m", "uvicorn", f"{app}:app", "--host", LOOPBACK, "--port", str(port)],
            log_path=folder / "service.log",
            janitor=NoJanitor(),
            env=clean_environment(
                environment(ARM, folder) | {"BROKENPIPE_EVERY_REQUEST": "1"} | variables | dict(env or {})
            ),
            cwd=APPS,
        ) as process,
    ):
        service = Service(f"http://{LOOPBACK}:{port}", process, folder, wire.port if wire else 0, client)
        until(lambda: _answers(service), "the service to answer")
        yield service
        process.stop(signal.SIGKILL, PATIENCE_S)
    testimony = "".join(path.read_text() for path in folder.glob("witness-*"))
    if wire is not None:
        assert wire.database.password not in testimony, "a password was written"
    assert '"k":"trouble"' not in testimony, "the witness had trouble"


def _answers(service: Service, path: str = "/held") -> bool | None:
    assert service.process.running, "\n".join(service.process.last_lines(30))
    try:
        service.get(path)
    except requests.ConnectionError:
        return None
    return True
