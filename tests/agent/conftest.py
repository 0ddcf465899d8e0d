"""The sample agent as it runs: a child process behind HTTP, on a real Postgres with a database of its own."""

from __future__ import annotations

import os
import secrets
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port, poll
from brokenpipe.stack.processes.process import Child, child

REPOSITORY = Path(__file__).parents[2]
TARGETS = REPOSITORY / "targets"
SAMPLE = "agent"
START_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 10.0

StartAgent = Callable[..., AbstractContextManager["Agent"]]

DRIVERS = ("asyncpg", "psycopg", "psycopg2")
SHARED = {
    **{driver: {"DB_DRIVER": driver} for driver in DRIVERS},
    **{f"slow {driver}": {"DB_DRIVER": driver, "AGENT_LLM_MS": "300"} for driver in DRIVERS},
    **{f"pre-ping {driver}": {"DB_DRIVER": driver, "DB_POOL_PRE_PING": "true"} for driver in DRIVERS},
    "slow query": {"AGENT_HOLD": "query", "AGENT_LLM_MS": "300"},
}
"""Services that more than one test talks to, by name. Where nothing is said: asyncpg, 40 ms, hold=session."""


@dataclass(frozen=True)
class Agent:
    """A running service, and a way past it to the server that it works on."""

    url: str
    process: Child
    server: Postgres
    database: str

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=REQUEST_TIMEOUT_S, **options)

    def post(self, path: str, json: object, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=json, timeout=REQUEST_TIMEOUT_S, **options)

    def pool(self) -> dict[str, Any]:
        return self.get("/pool").json()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask its database, not through the service."""
        with psycopg.connect(self.server.dsn(self.database), autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def backends(self, condition: str = "true") -> list[int]:
        """Process ids of the service's own server processes that meet a condition on pg_stat_activity."""
        rows = self.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            f" AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND {condition}"
        )
        return sorted(pid for (pid,) in rows)

    def kill_backends(self) -> int:
        """End every connection at the server's side and wait until they are gone. Returns their number."""
        killed = self.backends()
        self.query(f"SELECT pg_terminate_backend(pid) FROM unnest(ARRAY{killed}) AS pid")
        assert poll(lambda: None if self.backends() else True, timeout_s=5) is True, "backends did not end"
        return len(killed)

    def warm(self, connections: int) -> None:
        """Make the pool hold at least so many open connections, by as many chats at once."""
        said = {"conversation_id": 1, "message": "warm up"}

        def chat_at_once() -> bool | None:
            with ThreadPoolExecutor(connections) as several:
                answers = list(several.map(lambda _: self.post("/chat", said), range(connections)))
            assert [a.status_code for a in answers] == [200] * connections
            return self.pool()["checked_in"] >= connections or None

        assert poll(chat_at_once, timeout_s=5), f"the pool never held {connections} connections"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One Postgres for all tests of the agent; each service has a database of its own in it."""
    with postgres(
        log_path=tmp_path_factory.mktemp("server") / "postgres.log", janitor=NoJanitor()
    ) as running:
        yield running


@pytest.fixture(scope="session")
def start_agent(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> StartAgent:
    """Start the service with some settings, on a fresh database or a given one, while a block lasts.

    `target`: the folder of another service with the same endpoints.
    """

    @contextmanager
    def start(database: str | None = None, target: str = SAMPLE, **environment: str) -> Iterator[Agent]:
        if database is None:
            database = f"agent_{secrets.token_hex(4)}"
            server.create_database(database)
        url, command = _command(target)
        environment = {"DATABASE_URL": server.dsn(database)} | environment
        log_path = tmp_path_factory.mktemp("agent") / f"{target}.log"
        with run_command(command, environment, log_path, target) as process:
            agent = Agent(url, process, server, database)
            assert poll(lambda: _is_up(agent), timeout_s=START_TIMEOUT_S), "\n".join(process.last_lines())
            yield agent

    return start


class SharedAgents:
    """The services of SHARED by name, each started when it is first asked for and kept until the last test is done.

    A fixture with parameters would be started anew whenever the random order of tests changes the parameter.
    """

    def __init__(self, start: StartAgent, ends: ExitStack) -> None:
        self._start, self._ends = start, ends
        self._started: dict[str, Agent] = {}

    def __getitem__(self, name: str) -> Agent:
        if name not in self._started:
            self._started[name] = self._ends.enter_context(self._start(**SHARED[name]))
        return self._started[name]


@pytest.fixture(scope="session")
def shared_agents(start_agent: StartAgent) -> Iterator[SharedAgents]:
    """One of each kind, for all tests of this folder: they are in one process of pytest (tests/conftest.py)."""
    with ExitStack() as ends:
        yield SharedAgents(start_agent, ends)


@pytest.fixture(params=DRIVERS)
def agent(request: pytest.FixtureRequest, shared_agents: SharedAgents) -> Agent:
    """A service with the default pool and a fast language model, with each driver; shared by many tests."""
    return shared_agents[request.param]


@pytest.fixture
def fail_to_start(tmp_path: Path) -> Callable[[Mapping[str, str]], tuple[int, str]]:
    """Start the service with settings that it must refuse; returns its exit code and what it printed."""

    def start(environment: Mapping[str, str]) -> tuple[int, str]:
        _, command = _command(SAMPLE)
        log_path = tmp_path / f"agent-{secrets.token_hex(4)}.log"  # several may be started at once
        with run_command(command, environment, log_path) as process:
            code = process.popen.wait(START_TIMEOUT_S)
        return code, process.log_path.read_text()

    return start


@contextmanager
def run_command(
    command: list[str], environment: Mapping[str, str], log_path: Path, target: str = SAMPLE
) -> Iterator[Child]:
    """Run a command in the target's folder, with PATH and the given variables and nothing else."""
    everything = {"PATH": os.environ["PATH"], **environment}
    with child(
        target,
        command,
        log_path=log_path,
        janitor=NoJanitor(),
        env=everything,
        cwd=TARGETS / target,
        stop_timeout_s=5,
    ) as process:
        yield process


def _command(target: str) -> tuple[str, list[str]]:
    """The address and the command that the target's file gives."""
    port = free_port()
    values = {"python": sys.executable, "host": LOOPBACK, "port": port}
    template = tomllib.loads((TARGETS / target / "target.toml").read_text())["command"]
    return f"http://{LOOPBACK}:{port}", [part.format(**values) for part in template]


def _is_up(agent: Agent) -> bool | None:
    if not agent.process.running:
        return False
    try:
        return agent.get("/healthz").ok or None
    except requests.ConnectionError:
        return None
