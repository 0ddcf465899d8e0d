"""PgBouncer in containers: in the chain of a run, as the local one is, and in the stack by hand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from tests.containers.containers import IMAGES, docker, eventually, once
from tests.stack.runs import REPOSITORY, Run, Starter, write_scenario

from brokenpipe.stack.containers.engine import find_engine
from brokenpipe.stack.processes.ports import LOOPBACK

pytestmark = [pytest.mark.low_load, pytest.mark.usefixtures("engine")]

PHASES = """
[pgbouncer]
pool_mode = "transaction"
default_pool_size = 2
max_prepared_statements = 0

[[phases]]
name = "steady"
seconds = 3

[[phases]]
name = "kill"
fault = { name = "backend_kill" }
episodes = 1
every_s = 1.5
"""
PGBOUNCER = IMAGES[-1]


@dataclass(frozen=True)
class Played:
    """A run that is over; its PgBouncer's container, and the passwords in that, while it went on."""

    run: Run
    container: dict[str, Any]
    passwords: list[str]


@pytest.fixture(scope="module")
def played(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One arm with two processes in transaction mode; then Postgres ends its sessions."""
    folder = tmp_path_factory.mktemp("pooled")
    scenario = write_scenario(
        folder / "pooled.toml",
        PHASES,
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "tools_locustfile.py",
        users=20,
        arms='asyncpg = { WEB_CONCURRENCY = "2" }',
    )
    starter = Starter(folder)
    with starter.start("run", scenario, "--stack", "compose", "--reports", folder / "reports") as run:
        run.wait_for(r"steady ended", timeout_s=120)
        name = json.loads((run.folder / "compose.json").read_text())["services"]["pgbouncer"][
            "container_name"
        ]
        (container,) = json.loads(docker("inspect", name))
        users = next(mount["Source"] for mount in container["Mounts"] if mount["Source"].endswith("users"))
        passwords = [line.split('"')[3] for line in Path(users).read_text().splitlines()]
        run.end()
        yield Played(run, container, passwords)


def test_many_connections_share_two(played: Played) -> None:
    """The service has as many as ever, Postgres has those of the pooler."""
    steady = played.run.summary["arms"]["asyncpg"]["phases"]["steady"]
    assert steady["client_connections"] > 2, played.run.out
    assert steady["server_connections"] <= 2


def test_statements_that_are_cached_fail(played: Played) -> None:
    """Those of a driver with its defaults are not there, or are somebody else's, with other parameters even."""
    steady = played.run.summary["arms"]["asyncpg"]["phases"]["steady"]
    assert steady["failed"] > 0, played.run.out
    assert steady["failed_by_class"].keys() <= {
        "protocol state",
        "wrong result",
        "pooler's error",  # 08P01: the statement of that name takes another number of parameters
    }, played.run.out


def test_what_happens_at_the_server_happens_behind_it(played: Played) -> None:
    """It is witnessed at Postgres itself: PgBouncer keeps its clients, and a session through it would see nothing."""
    landings = played.run.history("nemesis.ndjson", "landing")
    assert [landing["landed"] for landing in landings] == [True]
    assert {act["error"] for act in played.run.history("nemesis.ndjson", "act")} == {None}


def test_it_is_part_of_the_record(played: Played) -> None:
    """Its version, its log and its gauges are kept, and nobody's password is."""
    run = played.run
    environment = json.loads((run.folder / "environment.json").read_text())
    assert f"PgBouncer {environment['versions']['pgbouncer']}" in once(PGBOUNCER, "--version")
    assert "login" in (run.folder / "logs" / "pgbouncer.log").read_text()
    gauges = [each for each in run.history("gauges.ndjson", "process") if each["role"] == "pgbouncer"]
    assert max(gauge["rss_bytes"] for gauge in gauges) > 1_000_000
    codes = {warning["code"] for warning in run.summary["warnings"]}
    assert not codes & {"bypasses_proxy", "pgbouncer_died", "toxiproxy_died", "postgres_died", "act_failed"}
    assert len(played.passwords) == 2  # of the arm and the administrator
    for path in filter(Path.is_file, run.folder.rglob("*")):
        content = path.read_bytes()
        assert not [password for password in played.passwords if password.encode() in content], path


def test_it_is_confined(played: Played) -> None:
    """As nobody, without a capability, with a root that cannot be written, and gone with the run."""
    assert_confined(played.container)
    assert not played.container["HostConfig"]["PortBindings"]
    docker("inspect", played.container["Name"].lstrip("/"), fails=True)


def assert_confined(container: dict[str, Any]) -> None:
    host = container["HostConfig"]
    assert container["Config"]["User"] == "65532:65532"
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
    assert host["ReadonlyRootfs"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0


# --- by hand ------------------------------------------------------------------------------------------


def test_by_hand_it_comes_up_healthy(engine: None) -> None:
    """The profile of compose.yaml: every health check is passed, on the loopback only, and the chain answers."""
    project = f"brokenpipe-test-{os.getpid()}"
    found = find_engine()

    def compose(*arguments: str) -> str:
        file = str(REPOSITORY / "compose" / "compose.yaml")
        argv = [*found.compose, "-p", project, "-f", file, "--profile", "pgbouncer", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        compose("up", "-d", "pooled")
        label = f"--filter=label=com.docker.compose.project={project}"
        containers = [json.loads(docker("inspect", each))[0] for each in docker("ps", "-q", label).split()]
        services = {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in containers}
        assert services.keys() == {"postgres", "toxiproxy", "pgbouncer", "pooled"}
        for name, each in services.items():
            eventually(lambda each=each: _healthy(each["Id"]), f"{name} to be healthy")  # type: ignore[misc]
            published = [place for places in each["HostConfig"]["PortBindings"].values() for place in places]
            assert {place["HostIp"] for place in published} <= {LOOPBACK}, name
        assert_confined(services["pgbouncer"])
        url = (
            f"http://{LOOPBACK}:8003/tools/1?conversation_id=1"  # may meet a name that the other process gave
        )
        eventually(lambda: requests.get(url, timeout=30).ok or None, "pooled to reach its database")
        dsn = f"postgresql://brokenpipe:{os.environ.get('BROKENPIPE_PASSWORD', 'by-hand')}@{LOOPBACK}:6432/pooled"
        with closing(psycopg.connect(dsn, connect_timeout=10)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        compose("down", "--volumes", "--timeout", "1")


def _healthy(container: str) -> bool | None:
    return docker("inspect", "--format={{.State.Health.Status}}", container) == "healthy" or None
