"""A commit that is cut, on a real Postgres with real drivers: what the client hears, and what is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psycopg
import psycopg2
import pytest
from tests.wire.inert import InertProxy

from brokenpipe.drive.detection.detect import detect_deferred_strike
from brokenpipe.drive.self_test.commit import self_test_commits
from brokenpipe.faults import CommitCut
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer

LOST = ("reply", "commit")
WRITE = "INSERT INTO written VALUES ('{}')"


@pytest.fixture(scope="module")
def database(running: Postgres) -> Postgres:
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE written (key text)")
    return running


@dataclass(frozen=True)
class Ground:
    """A proxy in front of Postgres, and a way past it."""

    database: Postgres
    proxy: Proxy

    @property
    def dsn(self) -> str:
        return self.database.dsn(port=self.proxy.port)

    def there(self, key: str) -> int:
        with psycopg.connect(self.database.dsn()) as connection:
            row = connection.execute("SELECT count(*) FROM written WHERE key = %s", (key,)).fetchone()
        return row[0] if row else 0


@pytest.fixture
def ground(server: ToxiproxyServer, database: Postgres) -> Iterator[Ground]:
    with server.scratch_proxy((database.host, database.port), rst_on_close=True) as proxy:
        yield Ground(database, proxy)


def _asyncpg(dsn: str, key: str, before_commit: Callable[[], object]) -> bool:
    async def write() -> bool:
        connection = await asyncpg.connect(dsn, ssl=False)
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO written VALUES ($1)", key)
                before_commit()
        except (asyncpg.PostgresConnectionError, ConnectionError):
            return False
        finally:
            connection.terminate()
        return True

    return asyncio.run(write())


def _psycopg(dsn: str, key: str, before_commit: Callable[[], object], *, times: int = 1) -> bool:
    connection = psycopg.connect(dsn)
    try:
        for _ in range(times):
            connection.execute("INSERT INTO written VALUES (%s)", (key,))
        before_commit()
        connection.commit()
    except psycopg.OperationalError:
        return False
    finally:
        connection.close()
    return True


def _psycopg2(dsn: str, key: str, before_commit: Callable[[], object]) -> bool:
    connection = psycopg2.connect(dsn)
    try:
        connection.cursor().execute("INSERT INTO written VALUES (%s)", (key,))
        before_commit()
        connection.commit()
    except psycopg2.OperationalError:
        return False
    finally:
        connection.close()
    return True


DRIVERS = {"asyncpg": _asyncpg, "psycopg": _psycopg, "psycopg2": _psycopg2}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_client_hears_nothing_and_the_database_knows(ground: Ground, driver: str, lost: str) -> None:
    """The reply lost: it is committed. The COMMIT lost: it is not. The client cannot tell which; the next passes."""
    write, fault = DRIVERS[driver], CommitCut(lost=lost)  # type: ignore[arg-type]
    key = f"{driver} {lost}"
    assert not write(ground.dsn, key, lambda: fault.inject(ground.proxy))
    assert ground.there(key) == (1 if lost == "reply" else 0)
    assert write(ground.dsn, f"{key}, again", lambda: None)
    assert ground.there(f"{key}, again") == 1


@pytest.mark.parametrize("lost", LOST)
def test_a_statement_prepared_by_name_is_known_again(ground: Ground, lost: str) -> None:
    """psycopg prepares a statement it has seen five times; its later executions name no INSERT any more."""
    fault = CommitCut(lost=lost)  # type: ignore[arg-type]
    with psycopg.connect(ground.dsn) as connection:
        for n in range(8):
            connection.execute("INSERT INTO written VALUES (%s)", (f"prepared {lost} {n}",))
            connection.commit()
        connection.execute("INSERT INTO written VALUES (%s)", (f"prepared {lost}",))
        fault.inject(ground.proxy)
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    assert ground.there(f"prepared {lost}") == (1 if lost == "reply" else 0)


@pytest.mark.parametrize("lost", LOST)
def test_only_a_transaction_that_has_written_is_cut(ground: Ground, lost: str) -> None:
    """One that reads, and one that rolls back, pass; the strike waits for the next that has something to lose."""
    fault = CommitCut(lost=lost)  # type: ignore[arg-type]
    with psycopg.connect(ground.dsn) as connection:
        connection.execute("SELECT count(*) FROM written")
        fault.inject(ground.proxy)
        connection.commit()
        connection.execute("INSERT INTO written VALUES ('rolled back')")
        connection.rollback()
        connection.execute("SELECT 1")
        connection.commit()
        connection.execute("INSERT INTO written VALUES ('the one')")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()


@pytest.mark.parametrize("lost", LOST)
def test_a_strike_that_is_healed_waits_no_longer(ground: Ground, lost: str) -> None:
    """And the next strike hits again."""
    fault = CommitCut(lost=lost)  # type: ignore[arg-type]
    fault.inject(ground.proxy)
    fault.heal(ground.proxy)
    assert _psycopg(ground.dsn, "healed", lambda: None)
    assert not _psycopg(ground.dsn, "struck", lambda: fault.inject(ground.proxy))


def test_large_transactions_are_understood(ground: Ground) -> None:
    """Megabytes on their way, in both directions, do not hide the COMMIT behind them."""
    fault = CommitCut()
    connection = psycopg.connect(ground.dsn)
    try:
        connection.execute("INSERT INTO written SELECT repeat('x', 100) FROM generate_series(1, 20000)")
        with connection.cursor().copy("COPY written FROM STDIN") as copy:
            for _ in range(200):
                copy.write("y" * 10_000 + "\n")
        connection.execute("SELECT * FROM written").fetchall()
        fault.inject(ground.proxy)
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    finally:
        connection.close()
    assert ground.there("y" * 10_000) == 200


def test_a_strike_lands_when_a_commit_was_cut(ground: Ground) -> None:
    """The toxic's own word for it, for this strike and no earlier one; without a commit it did not land."""
    fault = CommitCut(lost="commit")
    before_ns = time.monotonic_ns()
    assert not _psycopg(ground.dsn, "landed", lambda: fault.inject(ground.proxy))
    seen = detect_deferred_strike(ground.proxy, fault, before_ns, time.monotonic() + 1)
    assert (seen.seen, seen.landed) == ("cut", True)
    before_ns = time.monotonic_ns()
    fault.inject(ground.proxy)
    missed = detect_deferred_strike(ground.proxy, fault, before_ns, time.monotonic() + 0.2)
    assert (missed.seen, missed.after_ms, missed.landed) == ("no commit came", None, False)


def test_the_certificate_looks_into_the_database(
    server: ToxiproxyServer, database: Postgres, tmp_path: Path
) -> None:
    """Every way of cutting holds what it promises, and one that does nothing is noticed."""
    faults = [CommitCut(), CommitCut(lost="commit"), CommitCut(how="fin")]
    probes = self_test_commits([*faults, faults[0]], server, database)
    assert [(probe.fault_text, probe.held) for probe in probes] == [(str(fault), True) for fault in faults]
    nothing = self_test_commits(faults, server, database, wire_of=lambda _: InertProxy())
    assert [probe.held for probe in nothing] == [False, False, False]
    assert "committed, the client hears of it" in nothing[0].seen
