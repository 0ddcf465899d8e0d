"""A wire is what it says it is, and each call on it has seen what it did. On the plug-in's own fixtures."""

from __future__ import annotations

import select
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from brokenpipe.drive.raw_postgres.raw_socket import connect, wait_for_end
from brokenpipe.errors import ToolchainError
from brokenpipe.faults import BackendKill, Latency, SocketKill
from brokenpipe.stack.proxy import toolchain
from brokenpipe.testing import FaultNotSeen, PostgresServer, StackError, UsageError, Wire, postgres, server
from brokenpipe.testing import wire as wire_of

S = 1_000_000_000


def opened(wire: Wire, **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(wire.dsn, connect_timeout=5, autocommit=True, **options)


def test_a_wire_is_an_empty_database_behind_a_proxy(postgres: PostgresServer, wire: Wire) -> None:
    """Each way to reach it leads to the same empty database: its attributes, its URLs, and past the proxy."""
    with opened(wire) as through, psycopg.connect(wire.direct_dsn, autocommit=True) as past:
        through.execute("CREATE TABLE t (n int)")
        past.execute("INSERT INTO t VALUES (1)")
    engine = create_engine(wire.url("postgresql+psycopg"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 1
    engine.dispose()
    assert wire.dsn == f"postgresql://{wire.user}:{wire.password}@{wire.host}:{wire.port}/{wire.database}"
    assert wire.port != postgres.port
    assert f":{postgres.port}/" in wire.direct_dsn
    assert wire.password not in repr(wire) + repr(postgres)


def test_the_next_wire_has_nothing_of_this_one(postgres: PostgresServer) -> None:
    """Whatever a test has left, the tests after it get an empty database, and its own port leads nowhere any more."""
    mess = (
        "CREATE TABLE t (n int); CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('a'); SELECT lo_create(0)",
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (n int)",
        "GRANT CREATE ON SCHEMA public TO public",
        "CREATE TABLE t (n int)",
    )
    names = set()
    for each in mess:
        with wire_of(postgres) as used, psycopg.connect(used.dsn, autocommit=True) as connection:
            assert connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone() == (0,)
            assert connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)
            assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
            connection.execute(each)
            connection.execute(f"ALTER ROLE {used.user} SET search_path = s")
            names.add(used.database)
        with pytest.raises(psycopg.OperationalError):
            opened(used)
    with (
        wire_of(postgres) as used,
        psycopg.connect(postgres.dsn.replace("/postgres", f"/{used.database}")) as admin,
    ):
        admin.execute("CREATE FUNCTION left_by_a_superuser() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    for _ in range(3):
        with wire_of(postgres) as after, opened(after) as connection:
            assert connection.execute("SELECT to_regproc('left_by_a_superuser')").fetchone() == (None,)
            assert after.database != used.database
    assert len(names) < len(mess)  # a database that is empty again is used again


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_a_kill_ends_what_is_open_and_spares_what_comes_later(wire: Wire, how: Any) -> None:
    """Also connections that were opened before end as the kill says, all of them, and nobody is refused."""
    with closing(connect((wire.host, wire.port))) as raw, opened(wire) as pooled:
        while len(wire.connections) < 2:
            time.sleep(0.01)
        wire.kill(how=how)
        assert wire.connections == ()
        ended = wait_for_end(raw, time.monotonic_ns() + S)
        assert ended is not None
        assert ended.seen == {"reset": "reset", "fin": "eof"}[how]
        with pytest.raises(psycopg.OperationalError):
            pooled.execute("SELECT 1")
    with opened(wire) as later:
        assert later.execute("SELECT 1").fetchone() == (1,)


def _slow(connection: psycopg.Connection[Any], _wire: Wire) -> None:
    before = time.monotonic()
    connection.execute("SELECT 1")
    assert time.monotonic() - before >= 0.05


def _silent(connection: psycopg.Connection[Any], wire: Wire) -> None:
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(wire.dsn, connect_timeout=2)


def _refused(connection: psycopg.Connection[Any], wire: Wire) -> None:
    with pytest.raises(psycopg.OperationalError, match="refused"):
        opened(wire)


def _cut_when_idle(connection: psycopg.Connection[Any], _wire: Wire) -> None:
    time.sleep(0.3)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")


def _forgotten_when_idle(connection: psycopg.Connection[Any], wire: Wire) -> None:
    time.sleep(0.3)
    connection.pgconn.send_query(b"SELECT 1")
    connection.pgconn.flush()
    with pytest.raises(TimeoutError):
        _readable(connection, 0.3)


def _read_only(connection: psycopg.Connection[Any], _wire: Wire) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE t (n int)")


def _cancelled(connection: psycopg.Connection[Any], _wire: Wire) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(5)")


def _full(connection: psycopg.Connection[Any], wire: Wire) -> None:
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        opened(wire)


def _still(connection: psycopg.Connection[Any], _wire: Wire) -> None:
    connection.pgconn.send_query(b"SELECT 1")
    connection.pgconn.flush()
    with pytest.raises(TimeoutError):
        _readable(connection, 0.3)


def _readable(connection: psycopg.Connection[Any], within_s: float) -> None:
    if not select.select([connection.fileno()], [], [], within_s)[0]:
        raise TimeoutError


HELD: list[tuple[str, dict[str, Any], Callable[[psycopg.Connection[Any], Wire], None]]] = [
    ("latency", {"ms": 50}, _slow),
    ("black_hole", {}, _silent),
    ("refuse", {}, _refused),
    ("idle_reset", {"after_ms": 150}, _cut_when_idle),
    ("idle_reset", {"after_ms": 150, "how": "fin", "when": "next_packet"}, _cut_when_idle),
    ("idle_drop", {"after_ms": 150}, _forgotten_when_idle),
    ("server_setting", {"setting": "default_transaction_read_only"}, _read_only),
    ("server_setting", {"setting": "statement_timeout", "after_ms": 100}, _cancelled),
    ("server_setting", {"setting": "connection_limit", "connections": 1}, _full),
    ("server_pause", {}, _still),
]


@pytest.mark.parametrize(
    ("name", "parameters", "meets"), HELD, ids=[f"{name} {given}" for name, given, _ in HELD]
)
def test_a_held_fault_is_there_in_its_block_and_gone_after_it(wire: Wire, name, parameters, meets) -> None:
    """A connection that was open before meets it, and one that is opened afterwards meets nothing of it."""
    with closing(opened(wire)) as connection, getattr(wire, name)(**parameters):
        meets(connection, wire)
    before = time.monotonic()
    with opened(wire) as later:
        later.execute("CREATE TABLE t (n int)")
    assert time.monotonic() - before < 5
    assert "is over, as a raw socket saw" in wire.timeline()


def test_faults_of_the_server_end_sessions_with_their_reason(wire: Wire) -> None:
    """A session that is terminated hears why, also after a reset was asked for before; and so does one at a restart."""
    for act in (wire.kill, wire.backend_kill, wire.server_restart):
        with opened(wire) as connection:
            act()
            with pytest.raises(psycopg.OperationalError) as caught:
                connection.execute("SELECT 1")
            if act != wire.kill:
                assert "administrator command" in str(caught.value)
    with opened(wire) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_commit_is_cut_in_its_block_or_the_block_fails(wire: Wire) -> None:
    """The client hears nothing of a commit that happened. A block in which nobody commits has shown nothing."""
    with opened(wire) as connection:
        connection.execute("CREATE TABLE t (n int)")
        with wire.commit_cut(lost="reply"), pytest.raises(psycopg.OperationalError), connection.transaction():
            connection.execute("INSERT INTO t VALUES (1)")
    with psycopg.connect(wire.direct_dsn) as past:
        assert past.execute("SELECT count(*) FROM t").fetchone() == (1,)
    with pytest.raises(FaultNotSeen, match="no commit came"), wire.commit_cut():
        pass


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda w: w.latncy(ms=5), AttributeError, "did you mean 'latency'"),
        (lambda w: w.latency(mss=5), UsageError, "mss: unknown key; did you mean 'ms'"),
        (lambda w: w.latency(ms="5"), UsageError, "must be a whole number of milliseconds"),
        (lambda w: w.idle_reset(after_ms=3), UsageError, "must be 50 or more"),
        (lambda w: w.kill(how="rst"), UsageError, "did you mean 'reset'"),
        (
            lambda w: w.server_setting(setting="statement_timeout"),
            UsageError,
            "takes after_ms; found no value",
        ),
        (lambda w: w.packet_drop().__enter__(), StackError, "network namespace"),
    ],
)
def test_a_mistake_is_told_where_it_is_made(wire: Wire, call, error, words: str) -> None:
    """Names and parameters are held against the faults that are installed, and the sentence says what is allowed."""
    with pytest.raises(error, match=words):
        call(wire)
    wire._made.clear()
    with opened(wire) as connection:  # and nothing has happened
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_fault_that_no_block_enters_fails_the_test(postgres: PostgresServer) -> None:
    """It would have done nothing. An error in the test itself is the one that is told."""
    with (
        pytest.raises(UsageError, match=r"latency\(ms=50\) was made and never entered"),
        wire_of(postgres) as used,
    ):
        used.latency(ms=50)
    with pytest.raises(ZeroDivisionError), wire_of(postgres) as used:
        used.black_hole(), 1 // len(used.connections)


def test_one_fault_is_not_held_twice(wire: Wire) -> None:
    """The end of the inner one would heal the outer one. Two directions are two faults, and so are two settings."""
    one, other = wire.latency(ms=20), wire.latency(ms=20, direction="upstream")
    with one, other, pytest.raises(UsageError, match="is held already"), wire.latency(ms=30):
        pass
    read_only = wire.server_setting(setting="default_transaction_read_only")
    with read_only, wire.server_setting(setting="connection_limit", connections=5):
        with pytest.raises(UsageError, match="is held already"):
            wire.server_setting(setting="connection_limit", connections=2).__enter__()
        with opened(wire) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE t (n int)")


def test_what_no_socket_saw_is_an_error(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that did not happen, in whichever way, fails the test that asked for it; and so does one that stays."""
    for kind in (SocketKill, BackendKill, Latency):
        monkeypatch.setattr(kind, "inject", lambda _fault, _wire: None)
    with pytest.raises(FaultNotSeen, match=r"should have seen reset.*it saw alive"):
        wire.kill()
    with pytest.raises(FaultNotSeen, match=r"57P01.*it saw alive"):
        wire.backend_kill()
    with pytest.raises(FaultNotSeen, match="not delayed as asked"), wire.latency(ms=50):
        pytest.fail("the block was entered")
    monkeypatch.undo()
    heal = Latency.heal
    monkeypatch.setattr(Latency, "heal", lambda _fault, _wire: None)
    with pytest.raises(FaultNotSeen, match="it was healed, and a raw socket still saw"), wire.latency(ms=50):
        pass
    monkeypatch.setattr(Latency, "heal", heal)
    with wire.refuse(), pytest.raises(FaultNotSeen, match="no connection to see it on"):
        wire.kill()


def test_connections_and_timeline_are_those_of_the_code_under_test(wire: Wire) -> None:
    """No socket of the wire's own is among them, and no password in what is shown."""
    before = wire.connections
    with opened(wire) as connection:
        (one,) = wire.connections
        assert one not in before
        assert one.began_ns <= time.monotonic_ns()
        with wire.latency(ms=20):
            connection.execute("SELECT 1")
            assert wire.connections == (one,)
        wire.kill()
    said = wire.timeline()
    assert said.count("began, from port") == 1
    assert "connection 1 ended, by the wire (kill_switch)" in said
    assert "ms  latency(ms=20)\n" in said
    assert wire.password not in said


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_everything_works_under_async_with(postgres: PostgresServer) -> None:
    """The loop goes on meanwhile, and a cancelled scope leaves nothing held."""
    import anyio

    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.005)
            beats += 1

    async with wire_of(postgres) as used, anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        async with used.idle_reset(after_ms=200):
            assert beats > 5
        with anyio.move_on_after(0.2):
            async with used.latency(ms=50):
                await anyio.sleep(60)
        async with await psycopg.AsyncConnection.connect(used.dsn) as connection:
            before = time.monotonic()
            await connection.execute("SELECT 1")
            assert time.monotonic() - before < 5
        assert used.timeline().count("is over, as a raw socket saw") == 2
        tasks.cancel_scope.cancel()


def test_a_server_of_ones_own_is_gone_with_its_block(wire: Wire) -> None:
    """A fault of one server does not concern another, and what is held at the end is healed."""
    with postgres() as another, wire_of(another) as own:
        own.server_pause().__enter__()
        with opened(wire) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(ConnectionRefusedError):
        connect((another.host, another.port))


def test_without_go_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the Toxiproxy server is not built yet and cannot be, the error says what to install."""
    shutil.copytree(server.PROXIES, tmp_path / "proxies", ignore=shutil.ignore_patterns(".build"))
    monkeypatch.setattr(server, "PROXIES", tmp_path / "proxies")
    monkeypatch.setattr(toolchain, "_candidates", lambda: ())
    with pytest.raises(ToolchainError, match="it needs Go") as caught, postgres():
        pass
    assert "install Go itself" in caught.value.remedy
