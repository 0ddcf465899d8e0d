"""The images do what compose/ relies on: official ones and their stand-ins alike."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from tests.containers.containers import (
    IMAGES,
    REPOSITORY,
    Container,
    configuration,
    container,
    docker,
    eventually,
    network,
    once,
)

from brokenpipe.stack.postgres.certificates import Certificates, make_certificates
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.proxy.api import ToxiproxyApi

POSTGRES, TOXIPROXY, AGENT, PGBOUNCER = IMAGES
PASSWORD = secrets.token_urlsafe(12)
NOBODY = "65532:65532"

pytestmark = pytest.mark.usefixtures("engine")


@dataclass(frozen=True)
class Database:
    """A Postgres in a container, with TLS, and the network in which it is called `postgres`."""

    runs: Container
    network: str
    certificates: Certificates

    def connect(self, **options: str) -> psycopg.Connection:
        given: dict[str, Any] = {"password": PASSWORD, **options}
        port = self.runs.published(5432)
        return psycopg.connect(
            host=LOOPBACK, port=port, user="brokenpipe", dbname="arm", connect_timeout=5, **given
        )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, engine: None) -> Iterator[Database]:
    """As compose/ starts it: not as root, nothing to write to but its data, the password in a file."""
    folder = tmp_path_factory.mktemp("postgres")
    folder.chmod(0o755)
    certificates = make_certificates(folder)
    for path in (certificates.server, certificates.key):
        path.chmod(0o644)  # whoever the container's user is on this machine: it copies the key and hides that
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "start").write_text(
        "install --mode 600 /given/server.key /tmp/server.key && exec docker-entrypoint.sh postgres"
        " -c ssl=on -c ssl_cert_file=/given/server.pem -c ssl_key_file=/tmp/server.key -c max_connections=17"
    )
    options = (
        "--user=postgres",
        "--publish=127.0.0.1::5432",
        "--network-alias=postgres",
        f"--volume={folder}:/given:ro",
        "--tmpfs=/var/run/postgresql:mode=1777",
        "--env=POSTGRES_USER=brokenpipe",
        "--env=POSTGRES_DB=arm",
        "--env=POSTGRES_PASSWORD_FILE=/given/password",
        "--env=POSTGRES_INITDB_ARGS=--no-sync",
        "--entrypoint=bash",
    )
    with (
        network() as name,
        container(POSTGRES, "/given/start", options=(*options, f"--network={name}")) as runs,
    ):
        made = Database(runs, name, certificates)
        eventually(lambda: _answers(made), "Postgres to answer")
        yield made


def _answers(database: Database) -> bool | None:
    try:
        database.connect().close()
    except psycopg.OperationalError:
        state = json.loads(docker("inspect", database.runs.name))[0]["State"]
        assert state["Running"], database.runs.log
        return None
    return True


def test_postgres_is_what_its_name_says(database: Database) -> None:
    """Version 17, not as root, the settings that were given behind its entry point, and healthy by pg_isready."""
    with closing(database.connect()) as connection:
        assert connection.info.server_version // 10000 == 17
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)
    assert database.runs.run("id", "-u") == "999"
    database.runs.run("pg_isready", "--quiet", "--host=127.0.0.1", "--username=brokenpipe")
    assert configuration(POSTGRES)["StopSignal"] == "SIGINT"  # "fast": sessions are ended, not waited for


def test_postgres_asks_for_the_password(database: Database) -> None:
    """That of the file, whatever address one comes from."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.connect(password="wrong")


def test_postgres_speaks_tls(database: Database) -> None:
    """With the certificate that it was given."""
    with closing(database.connect(**database.certificates.client_parameters)) as connection:
        assert connection.pgconn.ssl_in_use


def test_postgres_keeps_its_data_when_it_is_started_again(database: Database) -> None:
    """The cluster is made once, in a volume that outlives a restart."""
    with closing(database.connect()) as connection:
        connection.execute("CREATE TABLE kept ()")
        connection.commit()
    docker("restart", database.runs.name)
    eventually(lambda: _answers(database), "Postgres to answer after a restart")
    with closing(database.connect()) as connection:
        assert connection.execute("SELECT to_regclass('kept') IS NOT NULL").fetchone() == (True,)


@pytest.mark.parametrize(
    "given", [(), ("--env=POSTGRES_PASSWORD=x", "--env=POSTGRES_PASSWORD_FILE=/etc/hostname")]
)
def test_postgres_wants_one_password(given: tuple[str, ...]) -> None:
    """As the official image: an open database is nobody's wish, and of two passwords one is a mistake."""
    said = docker("run", "--rm", "--label=brokenpipe.test", *given, POSTGRES, fails=True)
    assert "POSTGRES_PASSWORD" in said


def test_the_agent_is_what_is_in_this_repository() -> None:
    """Python 3.11 as nobody; every package in the version of constraints.txt; the service and its drivers import."""
    script = """
import importlib.metadata, json, os, sys
import asyncpg, psycopg, psycopg2, agent.app
assert psycopg.pq.__impl__ == "binary"
versions = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()}
print(json.dumps([os.getuid(), sys.version_info[:2], versions]))
"""
    uid, python, versions = json.loads(once(AGENT, "python", "-c", script).splitlines()[-1])
    assert (uid, python) == (65532, [3, 11])
    pinned = dict(
        re.findall(r"^([\w.-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    )
    wanted = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    of_itself = {"pip", "setuptools"}
    assert {name: wanted.get(name) for name in versions.keys() - of_itself} == {
        name: version for name, version in versions.items() if name not in of_itself
    }


def test_the_agent_serves(database: Database) -> None:
    """With nothing but its DSN, against the database."""
    dsn = f"postgresql://brokenpipe:{PASSWORD}@postgres:5432/arm"
    options = ("--publish=127.0.0.1::8000", f"--env=DATABASE_URL={dsn}", f"--network={database.network}")
    with container(AGENT, options=options) as service:
        url = f"http://{LOOPBACK}:{service.published(8000)}"
        eventually(lambda: _status(service, f"{url}/healthz"), "the agent to answer")
        answer = requests.post(f"{url}/memories", json={"key": "k", "text": "x"}, timeout=30)
        assert answer.ok, answer.text


def _status(service: Container, url: str) -> int | None:
    try:
        return requests.get(url, timeout=5).status_code
    except requests.RequestException:
        assert json.loads(docker("inspect", service.name))[0]["State"]["Running"], service.log
        return None


def test_pgbouncer_knows_prepared_statements(database: Database, tmp_path: Path) -> None:
    """At least 1.21, as nobody; a statement prepared by name outlives the connection that it was prepared on."""
    tmp_path.chmod(0o755)
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\narm = host=postgres port=5432 user=brokenpipe password={PASSWORD}\n"
        "[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\nauth_type = any\npool_mode = transaction\n"
        "max_prepared_statements = 10\nserver_lifetime = 0\n"
    )
    options = (
        "--publish=127.0.0.1::6432",
        f"--network={database.network}",
        f"--volume={tmp_path}:/etc/pgbouncer:ro",
    )
    with container(PGBOUNCER, options=options) as pooler:
        dsn = f"host={LOOPBACK} port={pooler.published(6432)} user=any dbname=arm connect_timeout=5"
        connection = eventually(lambda: _open(pooler, dsn), "PgBouncer to answer")
        with closing(connection):
            asked = [
                row
                for n in (1, 2, 3)
                for row in connection.execute("SELECT pg_backend_pid(), %s::int", [n], prepare=True)
            ]
        assert [n for _, n in asked if n] == [1, 2, 3]
        assert len({backend for backend, _ in asked}) > 1
    major, minor = map(int, re.findall(r"PgBouncer (\d+)\.(\d+)", once(PGBOUNCER, "--version"))[0])
    assert (major, minor) >= (1, 21)
    assert configuration(PGBOUNCER)["User"] == NOBODY


def _open(pooler: Container, dsn: str) -> psycopg.Connection | None:
    try:
        return psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError:
        assert json.loads(docker("inspect", pooler.name))[0]["State"]["Running"], pooler.log
        return None


def test_toxiproxy_listens_where_it_is_told() -> None:
    """On all addresses of its container by default, and on none but its loopback if that is said; as nobody."""
    with container(TOXIPROXY, options=("--publish=127.0.0.1::8474",)) as server:
        eventually(lambda: _alive(server), "Toxiproxy to answer itself")
        assert ToxiproxyApi(server.published(8474)).version() == TOXIPROXY.rpartition(":")[2]
        server.run("/usr/local/bin/toxiproxy", "-alive", "-port", "8475", fails=True)
    told = ("-host", "127.0.0.1", "-port", "8474")
    with container(TOXIPROXY, *told, options=("--publish=127.0.0.1::8474",)) as server:
        eventually(lambda: _alive(server), "Toxiproxy to answer itself")
        with pytest.raises(requests.RequestException):
            requests.get(f"http://{LOOPBACK}:{server.published(8474)}/version", timeout=5)
    assert configuration(TOXIPROXY)["User"] == NOBODY


def _alive(server: Container) -> bool | None:
    asked = ["docker", "exec", server.name, "/usr/local/bin/toxiproxy", "-alive"]
    return subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode == 0 or None


def test_toxiproxy_knows_our_toxics() -> None:
    """It is built from proxies/ as it is now: the toxic that a kill is made of can be added."""
    with container(TOXIPROXY, options=("--publish=127.0.0.1::8474",)) as server:
        eventually(lambda: _alive(server), "Toxiproxy to answer itself")
        url = f"http://{LOOPBACK}:{server.published(8474)}/proxies"
        proxy = {"name": "arm", "listen": "0.0.0.0:0", "upstream": "postgres:5432"}
        assert requests.post(url, json=proxy, timeout=5).ok
        toxic = {"name": "kill", "type": "kill_switch", "attributes": {}}
        answer = requests.post(f"{url}/arm/toxics", json=toxic, timeout=5)
        assert answer.ok, answer.text
