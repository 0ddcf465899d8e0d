"""A Postgres that speaks TLS: who gets in, who is believed, and that faults at it are seen as before."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psycopg
import pytest

from brokenpipe.drive.detection.detect import login_target_of, open_sentinel
from brokenpipe.drive.raw_postgres.session import Login, LoginFailedError, pg_session
from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.faults import BackendKill, ServerRestart
from brokenpipe.stack.postgres.certificates import make_certificates
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    log_path = tmp_path_factory.mktemp("postgres") / "postgres.log"
    with postgres(log_path=log_path, janitor=NoJanitor(), tls=True) as server:
        yield server
    assert server.certificates
    assert not server.certificates.key.exists()
    assert not server.certificates.authority.parent.exists()


def test_nobody_gets_in_without(running: Postgres) -> None:
    """Our own connections are encrypted; one that is not is turned away, though its password is right."""
    with psycopg.connect(running.dsn()) as connection:
        used = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert used == (True,)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(running.dsn(), sslmode="disable")


def test_the_key_is_the_servers_alone(running: Postgres) -> None:
    """Nobody else may read it, and the authority's is nowhere."""
    assert running.certificates
    assert stat.S_IMODE(running.certificates.key.stat().st_mode) == 0o600
    keys = [
        each
        for each in running.certificates.key.parent.glob("*")
        if each.is_file() and b"PRIVATE KEY" in each.read_bytes()
    ]
    assert keys == [running.certificates.key]


def test_another_authority_is_not_believed(running: Postgres, tmp_path: Path) -> None:
    """Sessions of ours check who answers, as services do."""
    address = (running.host, running.port)
    stranger = make_certificates(tmp_path).authority
    login = Login(running.user, running.password, "postgres", stranger)
    with pytest.raises(ssl.SSLCertVerificationError), pg_session(address, login):
        pass
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(running.dsn(), sslrootcert=str(stranger))
    with (
        pytest.raises(LoginFailedError),
        pg_session(address, Login(running.user, running.password, "postgres")),
    ):
        pass


def test_faults_at_the_server_hold_their_contracts(server, running: Postgres) -> None:
    """What ends or refuses sessions is read through TLS; after a restart it is the same server to everybody."""
    probes = self_test_faults([BackendKill(), ServerRestart()], server, lambda: nullcontext(running))
    assert len(probes) == 6
    assert [probe for probe in probes if not probe.held] == []
    with psycopg.connect(running.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_sentinel_stays_and_testifies(server, running: Postgres) -> None:
    """A raw connection is answered with an S instead of an N, and tells life from death as before."""
    database = running.create_database("arm_watched")
    with server.scratch_proxy((running.host, running.port), rst_on_close=True, database=database) as proxy:
        with open_sentinel(proxy) as sentinel:
            assert sentinel.end(0.1)[0] == "alive"
        with open_sentinel(proxy) as sentinel:
            proxy.kill()
            assert sentinel.end(2)[0] == "reset"
        door = login_target_of(proxy)
        assert door.login.authority == (running.certificates and running.certificates.authority)
