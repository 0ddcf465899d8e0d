"""psycopg's own pools as the services use them: in threads, or async."""

import os
from contextlib import suppress
from typing import Any

from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool, ConnectionPool

DSN = os.environ["DSN"]
OPTIONS: dict[str, Any] = {"min_size": 1, "max_size": 1, "open": False}

plain = ConnectionPool(DSN, **OPTIONS)
checked = ConnectionPool(DSN, check=ConnectionPool.check_connection, **OPTIONS)
plain_async = AsyncConnectionPool(DSN, **OPTIONS)
checked_async = AsyncConnectionPool(DSN, check=AsyncConnectionPool.check_connection, **OPTIONS)
kept: list = []


def _execute(pool, statement):
    pool.open()  # in the process that uses it; the second time this does nothing
    with pool.connection() as connection:
        connection.execute(statement)


def select():
    _execute(plain, "select 1")


def select_checked():
    _execute(checked, "select 1")


def sleep():
    _execute(plain, "select pg_sleep(20)")


def keep():
    kept.append(checked.getconn())


def give_back():
    while kept:
        with suppress(OperationalError):
            checked.putconn(kept.pop())


async def _execute_async(pool, statement):
    await pool.open()
    async with pool.connection() as connection:
        await connection.execute(statement)


async def select_async():
    await _execute_async(plain_async, "select 1")


async def select_checked_async():
    await _execute_async(checked_async, "select 1")


async def sleep_async():
    await _execute_async(plain_async, "select pg_sleep(20)")


async def keep_async():
    kept.append(await checked_async.getconn())


async def give_back_async():
    while kept:
        with suppress(OperationalError):
            await checked_async.putconn(kept.pop())
