"""Faults at a server in a container: what the engine does is what the contract says, and nothing is left of it."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import docker as sdk
import psycopg
import pytest
from tests.containers.containers import CONFINED, IMAGES, container, docker, network

from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.errors import EngineError
from brokenpipe.faults import ServerPause, ServerRestart
from brokenpipe.stack.containers import cleanup
from brokenpipe.stack.containers.container_process import container_process
from brokenpipe.stack.containers.engine import Engine, find_engine
from brokenpipe.stack.postgres.server import Postgres, start_server
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.proxy.server import toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

POSTGRES = IMAGES[0]
PROXIES = Path(__file__).parents[2] / "proxies"

pytestmark = [pytest.mark.low_load, pytest.mark.timeout(180), pytest.mark.usefixtures("engine")]


@dataclass(frozen=True)
class Launch:
    """A Postgres in a container that was created, as compose/services.yaml has it."""

    engine: Engine
    container: str
    host: str
    password: str
    log_path: Path
    port: int = 5432
    certificates: None = None

    def start(self) -> AbstractContextManager[Child]:
        return container_process(
            "postgres",
            self.container,
            self.engine,
            log_path=self.log_path,
            janitor=NoJanitor(),
            stop_signal=signal.SIGINT,
        )


@pytest.fixture(scope="module")
def found(engine: None) -> Engine:
    return find_engine()


@pytest.fixture(scope="module")
def running(found: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """With a place of its own, which keeps its address while it is away."""
    password = secrets.token_urlsafe(12)
    with (
        network() as net,
        container(POSTGRES, "infinity", options=("--entrypoint=sleep", f"--network={net}")) as place,
    ):
        addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        host = docker("inspect", "--format", addresses, place.name)
        settings = (
            "POSTGRES_USER=brokenpipe",
            "POSTGRES_DB=postgres",
            f"POSTGRES_PASSWORD={password}",
            "POSTGRES_INITDB_ARGS=--auth=scram-sha-256 --no-sync",
            "PGDATA=/var/lib/postgresql/data/cluster",
        )
        options = (
            "--label=brokenpipe.test",
            "--user=postgres",
            f"--network=container:{place.name}",
            *(f"--env={each}" for each in settings),
            "--volume=/var/lib/postgresql/data",
            "--tmpfs=/var/run/postgresql:mode=1777",
        )
        made = docker("create", *CONFINED, *options, POSTGRES).splitlines()[-1]
        try:
            log_path = tmp_path_factory.mktemp("server") / "postgres.log"
            server = start_server(Launch(found, made, host, password, log_path))
            try:
                yield server
            finally:
                server.close()
        finally:
            docker("rm", "--force", "--volumes", made)


def test_contracts_hold_where_the_engine_is_what_does_it(
    running: Postgres, tmp_path: Path, found: Engine
) -> None:
    """Paused by the kernel's freezer, and killed: raw sockets see what they see of a process of this machine."""
    log_path = tmp_path / "toxiproxy.log"
    with toxiproxy_server(toxiproxy_binary(PROXIES), log_path=log_path, janitor=NoJanitor()) as server:
        faults = [ServerPause(), ServerRestart(mode="kill")]
        probes = self_test_faults(faults, server, lambda: nullcontext(running))
    assert len(probes) == 6
    assert [str(probe) for probe in probes if not probe.held] == []


def test_a_killed_container_loses_nothing_that_was_committed(running: Postgres) -> None:
    """Another process serves the same data, after a recovery, and what was acknowledged is there."""
    before = running.child
    with psycopg.connect(running.dsn(), autocommit=True) as writer:
        writer.execute("CREATE TABLE kept AS SELECT generate_series(1, 200)")
        running.restart("kill", 0.0, on_stopped=lambda: None, on_listening=lambda: None)
    assert before.exit_text == f"exit code {128 + signal.SIGKILL}"
    assert running.child.pid != before.pid
    with psycopg.connect(running.dsn(), autocommit=True) as reader:
        assert reader.execute("SELECT count(*) FROM kept").fetchone() == (200,)
    assert "was not properly shut down" in running.child.log_path.read_text()


def test_a_paused_container_goes_with_its_run(found: Engine) -> None:
    """Whoever removes what a run has left need not wake it first; to wake what is awake is no error."""
    run_id = f"paused-{os.getpid()}"
    labels = (f"--label={name}={value}" for name, value in cleanup.labels(run_id).items())
    with container(POSTGRES, "infinity", options=("--entrypoint=sleep", *labels)) as frozen:
        found.unpause(frozen.name)
        found.pause(frozen.name)
        with pytest.raises(EngineError, match="paused"):
            found.pause(frozen.name)
        assert cleanup.sweep(found.client, run_id)
        with pytest.raises(sdk.errors.NotFound):
            found.client.api.inspect_container(frozen.name)
        docker("create", "--name", frozen.name, POSTGRES)  # for the end of the block, which removes it
