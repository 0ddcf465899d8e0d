"""The tests that docs/pytest.md shows, as they stand there (tests/unit/test_docs.py)."""

from __future__ import annotations

import time

import asyncpg
import psycopg
import pytest
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError


def test_pre_ping_replaces_a_connection_that_died_at_rest(wire):
    engine = create_engine(wire.url("postgresql+psycopg"), pool_pre_ping=True)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    # The block is entered when a raw socket was ended by the limit: what rests in the pool is dead, too.
    with wire.idle_reset(after_ms=200), engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_the_pool_checks_what_it_hands_out(wire):
    with ConnectionPool(wire.dsn, min_size=1, check=ConnectionPool.check_connection) as pool:
        pool.wait()
        wire.kill(how="reset")
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_read_is_tried_again_when_its_connection_dies_in_use(wire):
    engine = create_engine(wire.url("postgresql+psycopg"))
    acts = [wire.kill]  # once, in the middle of the first attempt

    def read(connection):
        connection.execute(text("SELECT 1"))
        if acts:
            acts.pop()()
        return connection.execute(text("SELECT 42")).scalar()

    assert with_retry(engine, read) == 42
    engine.dispose()


def with_retry(engine, work, attempts=2):
    """The code under test: work on a connection, again on another one if it was lost."""
    while True:
        attempts -= 1
        try:
            with engine.connect() as connection:
                return work(connection)
        except OperationalError as error:
            if not error.connection_invalidated or not attempts:
                raise


@pytest.mark.anyio
async def test_a_timeout_bounds_a_black_hole(wire):
    connection = await asyncpg.connect(wire.dsn, command_timeout=1)
    async with wire.black_hole():
        before = time.monotonic()
        with pytest.raises(TimeoutError):
            await connection.fetchval("SELECT 1")
        assert time.monotonic() - before < 5
    connection.terminate()


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_a_database_that_is_away_is_an_error_within_seconds(wire):
    with wire.refuse():
        before = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(wire.dsn, connect_timeout=2)
        assert time.monotonic() - before < 5
    psycopg.connect(wire.dsn).close()  # and it is back
