"""Faults at a real Postgres: whom they hit, whom they spare, and that nothing is left of them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.processes import alive

from brokenpipe.drive.detection.detect import detect_held, login_target_of, open_sentinel_for
from brokenpipe.drive.gauges.sampler import SampledProcess, sampling
from brokenpipe.drive.raw_postgres.session import SSL_REQUEST, LoginFailedError, pg_session
from brokenpipe.errors import PostgresError, ProxyError
from brokenpipe.faults import BackendKill, Fault, ServerPause, ServerRestart, ServerSetting, StopMode
from brokenpipe.history.writer import open_writer
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.processes.ports import LOOPBACK, poll
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer
from brokenpipe.stack.stack import Stack

pytestmark = pytest.mark.timeout(120)

SETTINGS = [
    ServerSetting(setting="idle_session_timeout", after_ms=200),
    ServerSetting(setting="idle_in_transaction_session_timeout", after_ms=200),
    ServerSetting(setting="statement_timeout", after_ms=200),
    ServerSetting(setting="connection_limit", connections=0),
    ServerSetting(setting="default_transaction_read_only"),
]


@pytest.fixture(scope="module")
def plain(running: Postgres) -> Database:
    return running.create_database("arm_plain")


@pytest.fixture(scope="module")
def other(running: Postgres) -> Database:
    return running.create_database("arm_other")


@pytest.fixture
def proxy(server, running: Postgres, plain: Database) -> Iterator[Proxy]:
    with server.scratch_proxy((running.host, running.port), database=plain) as made:
        yield made


def lives(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Does this session still answer?"""
    try:
        return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_the_role_of_an_arm_is_an_ordinary_one(plain: Database) -> None:
    """No superuser, who would be exempt from limits; the owner of its database, who may make tables there."""
    with psycopg.connect(plain.dsn()) as session:
        row = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == (False,)
        session.execute("CREATE TABLE its_own (id int); DROP TABLE its_own")


def test_a_backend_kill_hits_its_own_arm_alone(
    proxy: Proxy, running: Postgres, plain: Database, other: Database
) -> None:
    """The sessions of another arm and the harness's own in the same server live on."""
    with (
        psycopg.connect(plain.dsn(), autocommit=True) as victim,
        psycopg.connect(other.dsn(), autocommit=True) as neighbour,
        psycopg.connect(running.dsn(), autocommit=True) as ours,
    ):
        BackendKill().inject(proxy)
        assert poll(lambda: not lives(victim) or None, timeout_s=2)
        assert (lives(neighbour), lives(ours)) == (True, True)


@pytest.mark.parametrize("fault", SETTINGS, ids=str)
def test_a_setting_is_gone_without_a_trace(proxy: Proxy, plain: Database, fault: Fault) -> None:
    """A raw session sees it while it is held; healed, none does, and the server's settings are what they were."""
    ask = "SELECT (SELECT array_agg(setting ORDER BY name) FROM pg_settings), datconnlimit FROM pg_database"
    ask += " WHERE datname = current_database()"
    with psycopg.connect(plain.dsn()) as before:
        whole = before.execute(ask).fetchone()
    fault.inject(proxy)
    try:
        assert detect_held(proxy, fault, None).landed
    finally:
        fault.heal(proxy)
    assert not detect_held(proxy, fault, None).landed
    with psycopg.connect(plain.dsn()) as after:
        assert after.execute(ask).fetchone() == whole


def test_the_harness_is_exempt(proxy: Proxy, running: Postgres) -> None:
    """A statement of ours that is longer than the limit, a pause beyond it, and a write: none is troubled."""
    faults = [SETTINGS[0], SETTINGS[2], SETTINGS[4]]
    with psycopg.connect(running.dsn(), autocommit=True) as ours:
        try:
            for fault in faults:
                fault.inject(proxy)
            ours.execute("SELECT pg_sleep(0.4)")
            time.sleep(0.4)
            ours.execute("CREATE TABLE exempt (id int); DROP TABLE exempt")
            assert lives(ours)
        finally:
            for fault in faults:
                fault.heal(proxy)


def test_a_connection_limit_counts_what_is_open(proxy: Proxy, plain: Database) -> None:
    """Below the limit that is told, and no session is opened; at the limit a new one is refused with 53300."""
    fault = ServerSetting(setting="connection_limit", connections=2)
    fault.inject(proxy)
    try:
        with psycopg.connect(plain.dsn()):
            # A backend is there for a moment after its client has gone.
            assert poll(lambda: plain.sessions() == 1 or None, timeout_s=5)
            below = detect_held(proxy, fault, None)
            assert poll(lambda: plain.sessions() == 1 or None, timeout_s=5)
            with psycopg.connect(plain.dsn()):
                reached = detect_held(proxy, fault, None)
    finally:
        fault.heal(proxy)
    assert (below.seen, below.landed) == ("1 below the limit", True)
    assert (reached.seen, reached.landed) == ("53300", True)


def test_a_limit_of_an_arms_own(running: Postgres, other: Database) -> None:
    """Who comes beyond it is refused with 53300, in that arm alone; a fault's limit gives way to it again."""
    limited = running.create_database("arm_limited", 2)
    with psycopg.connect(limited.dsn()), psycopg.connect(limited.dsn()):
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            psycopg.connect(limited.dsn())
        with psycopg.connect(other.dsn()):
            pass
    limited.set("connection_limit", "5")
    limited.set("connection_limit", None)
    assert poll(lambda: limited.sessions() == 0 or None, timeout_s=5)
    with (
        psycopg.connect(limited.dsn()),
        psycopg.connect(limited.dsn()),
        pytest.raises(psycopg.OperationalError, match="too many connections"),
    ):
        psycopg.connect(limited.dsn())


def test_a_setting_where_no_connection_is_left(running: Postgres) -> None:
    """With all connections of an arm in use a fault takes effect and is healed: it needs none of them."""
    limited = running.create_database("arm_full", 1)
    with psycopg.connect(limited.dsn()) as session:
        limited.set("statement_timeout", "70000")
        limited.set("statement_timeout", None)
        assert session.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_sentinel_takes_no_connection_of_the_arm(server: ToxiproxyServer, running: Postgres) -> None:
    """The service has every connection of its limit while a sentinel is open, and a strike ends both."""
    limited = running.create_database("arm_watched", 1)
    with (
        server.scratch_proxy((running.host, running.port), database=limited) as proxy,
        open_sentinel_for(BackendKill(), proxy) as sentinel,
        psycopg.connect(limited.dsn(), autocommit=True) as victim,
    ):
        BackendKill().inject(proxy)
        assert sentinel.end(2.0)[0] == "57P01"
        assert not lives(victim)


def test_a_held_fault_is_detected_where_no_connection_is_left(
    server: ToxiproxyServer, running: Postgres
) -> None:
    """All connections of the arm are in use, and the new session that sees the fault needs none of them."""
    limited, fault = running.create_database("arm_busy", 1), SETTINGS[4]
    with (
        server.scratch_proxy((running.host, running.port), database=limited) as proxy,
        psycopg.connect(limited.dsn()),
    ):
        fault.inject(proxy)
        try:
            assert detect_held(proxy, fault, None).landed
        finally:
            fault.heal(proxy)


@pytest.mark.parametrize("mode", ["immediate", "kill"])
def test_a_crash_loses_nothing_that_was_committed(
    proxy: Proxy, running: Postgres, plain: Database, mode: StopMode
) -> None:
    """Rows that were acknowledged a moment before a crash are there after it; the server is another."""
    before = running.child.pid
    with psycopg.connect(plain.dsn(), autocommit=True) as writer:
        writer.execute("CREATE TABLE kept (id int)")
        for number in range(200):
            writer.execute("INSERT INTO kept VALUES (%s)", (number,))
        ServerRestart(mode=mode).inject(proxy)
        assert not lives(writer)
    assert running.child.pid != before
    with psycopg.connect(plain.dsn(), autocommit=True) as reader:
        assert reader.execute("SELECT count(*) FROM kept").fetchone() == (200,)
        reader.execute("DROP TABLE kept")


def test_a_killed_server_tells_nobody_anything(proxy: Proxy, running: Postgres) -> None:
    """No session hears why, no process is left of it, and the next one has to recover."""
    father = psutil.Process(running.child.pid)
    family = [father, *father.children(recursive=True)]
    with pg_session((proxy.host, proxy.port), login_target_of(proxy).login) as one:
        ServerRestart(mode="kill").inject(proxy)
        ended = one.wait_closed(time.monotonic_ns() + 2_000_000_000)
    assert ended is not None
    assert ended.seen == "eof"
    assert [each for each in family if alive(each)] == []
    assert "was not properly shut down" in running.child.log_path.read_text()


def test_a_paused_server_answers_everything_afterwards(
    proxy: Proxy, running: Postgres, plain: Database
) -> None:
    """Silence for those who were there and for those who come; then each gets its answer, and no byte is missing."""
    login, place = login_target_of(proxy).login, (proxy.host, proxy.port)
    with pg_session(place, login) as asked, socket.create_connection(place) as late:
        before = running.child.pid
        ServerPause().inject(proxy)
        try:
            asked.ask("SELECT repeat('x', 300000)")
            late.sendall(SSL_REQUEST)
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.recv(1)
            assert asked.answer(time.monotonic_ns() + 100_000_000).seen == "silence"
            there = detect_held(proxy, ServerPause(), None)
        finally:
            ServerPause().heal(proxy)
        assert (there.seen, there.landed) == ("silence", True)
        late.settimeout(5)
        assert late.recv(1) == b"N"
        assert asked.answer(time.monotonic_ns() + 5_000_000_000).seen == "alive"
        assert running.child.pid == before
    assert not detect_held(proxy, ServerPause(), None).landed
    plain.resume()  # nothing is left to resume, and that is no error


def test_the_gauges_of_others_go_on_while_the_server_stands_still(
    proxy: Proxy, running: Postgres, plain: Database, server: ToxiproxyServer, tmp_path: Path
) -> None:
    """What asks Postgres waits; clock, machine and processes are gauged all the same, and Postgres's go on after it."""
    stack = Stack(running, server, {}, NotImplemented, LOOPBACK)
    watched = [SampledProcess("postgres", None, lambda: running.child.pid)]
    path = tmp_path / "gauges.ndjson"

    def counted(kind: str) -> int:
        return path.read_text().count(f'{{"k":"{kind}"')

    with (
        open_writer(path, "test") as log,
        open_writer(tmp_path / "doubts.ndjson", "test") as doubts,
        sampling(watched, {plain.name: "plain"}, stack, log, doubts),
    ):
        assert poll(lambda: counted("postgres") or None, timeout_s=10)
        ServerPause().inject(proxy)
        try:
            processes = counted("process")
            assert poll(lambda: counted("process") > processes + 1 or None, timeout_s=10)
            silent = counted("postgres")
            assert poll(lambda: counted("process") > processes + 2 or None, timeout_s=10)
            assert counted("postgres") == silent
        finally:
            ServerPause().heal(proxy)
        assert poll(lambda: counted("postgres") > silent or None, timeout_s=10)


def test_a_restart_goes_through_all_that_a_client_may_see(proxy: Proxy) -> None:
    """Tried again and again, a login is refused while the server is away, and works as soon as it is back."""
    seen: list[str] = []
    restart = threading.Thread(target=ServerRestart(away_ms=300).inject, args=(proxy,))
    restart.start()
    while restart.is_alive() or not seen:
        try:
            with pg_session((proxy.host, proxy.port), login_target_of(proxy).login):
                seen.append("alive")
        except LoginFailedError as instead:
            seen.append(instead.event.seen)
        time.sleep(0.002)
    restart.join()
    assert "refused" in seen
    with pg_session((proxy.host, proxy.port), login_target_of(proxy).login) as again:
        again.ask("SELECT 1")
        assert again.answer(time.monotonic_ns() + 1_000_000_000).seen == "alive"


def test_a_server_comes_back_even_if_a_proxy_cannot_be_told(running: Postgres) -> None:
    """What goes wrong while it is away is reported, and does not keep it away."""

    def hang() -> None:
        raise ProxyError("not to be had")

    back: list[bool] = []
    with pytest.raises(ProxyError, match="not to be had"):
        running.restart("fast", 0.0, on_stopped=hang, on_listening=lambda: back.append(True))
    assert back == [True]
    assert poll(lambda: _answers(running) or None, timeout_s=5)


def _answers(running: Postgres) -> bool:
    try:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            return lives(connection)
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("fault", [BackendKill(), ServerRestart()], ids=str)
def test_a_session_testifies_with_the_servers_own_words(proxy: Proxy, fault: Fault) -> None:
    """A raw session that was open at the strike tells the SQLSTATE it was sent, and when."""
    with open_sentinel_for(fault, proxy) as sentinel:
        before_ns = time.monotonic_ns()
        fault.inject(proxy)
        seen, at_ns = sentinel.end(2.0)
    assert seen == "57P01"
    assert 0 <= (at_ns - before_ns) / 1e9 < 0.5


def test_a_session_that_nothing_happened_to_says_so(proxy: Proxy) -> None:
    """No end within the time: alive, so a strike that missed cannot look like one that hit."""
    with open_sentinel_for(BackendKill(), proxy) as sentinel:
        assert sentinel.end(0.1)[0] == "alive"


def test_a_wrong_password_is_no_session(proxy: Proxy, plain: Database) -> None:
    """The login is judged by Postgres: another password is turned away."""
    login = login_target_of(proxy).login
    wrong = type(login)(login.user, login.password + "x", login.database)
    with pytest.raises(LoginFailedError), pg_session((proxy.host, proxy.port), wrong):
        pass


def test_a_setting_that_does_not_take_is_an_error(plain: Database) -> None:
    """What a new session does not have within three seconds was not set, whatever ALTER SYSTEM said."""
    with psycopg.connect(plain.server.dsn(), autocommit=True) as admin:
        admin.execute("ALTER ROLE arm_plain SET statement_timeout = '7s'")
        try:
            with pytest.raises(PostgresError, match="statement_timeout is not 200 "):
                plain.set("statement_timeout", "200")
        finally:
            admin.execute("ALTER ROLE arm_plain RESET statement_timeout")
            plain.set("statement_timeout", None)


@pytest.mark.parametrize("ms", [1000, 1500, 3_600_000])
def test_a_limit_of_whole_seconds_or_hours_takes(proxy: Proxy, ms: int) -> None:
    """Postgres shows 1000 ms as 1s and an hour as 1h: that is the same limit, and no failure to set it."""
    limit = ServerSetting(setting="idle_session_timeout", after_ms=ms)
    try:
        limit.inject(proxy)
    finally:
        limit.heal(proxy)


def test_an_admin_session_that_ends_is_an_error_of_ours(plain: Database) -> None:
    """Whatever Postgres answers to what a fault does, the nemesis can write down: no driver's exception gets out."""
    with (
        pytest.raises(PostgresError, match="terminating connection"),
        plain._admin() as admin,
    ):
        admin.execute("SELECT pg_terminate_backend(pg_backend_pid())")
