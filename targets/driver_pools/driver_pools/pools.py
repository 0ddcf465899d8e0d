"""A driver's own pool: how it is made, and how one of its connections is borrowed.

Both drivers take `$1` as a placeholder here and commit each statement by itself, so that one SQL serves both.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import asyncpg
import psycopg
from psycopg_pool import AsyncConnectionPool

from driver_pools.settings import Settings


class Connection(Protocol):
    """What both drivers' connections can do."""

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Any]:
        """The rows of a statement; each can be indexed."""

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A block of statements that are committed together."""


class Pool(Protocol):
    """What lives as long as the application."""

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection, for as long as the block lasts."""


@asynccontextmanager
async def open_pool(settings: Settings) -> AsyncIterator[Pool]:
    """The pool that the settings name; closed with the block."""
    opened = _open_asyncpg if settings.pool == "asyncpg" else _open_psycopg
    async with opened(settings) as pool:
        yield pool


@asynccontextmanager
async def _open_asyncpg(settings: Settings) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(
        settings.database_url.get_secret_value(),
        min_size=settings.pool_min_size,
        max_size=settings.pool_max_size,
        max_inactive_connection_lifetime=settings.pool_max_idle,
    ) as pool:
        yield _AsyncpgPool(pool, settings.pool_timeout)


class _AsyncpgPool:
    def __init__(self, pool: asyncpg.Pool, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire(timeout=self._timeout_s) as connection:
            yield connection


@asynccontextmanager
async def _open_psycopg(settings: Settings) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(
        settings.database_url.get_secret_value(),
        min_size=settings.pool_min_size,
        max_size=settings.pool_max_size,
        timeout=settings.pool_timeout,
        check=AsyncConnectionPool.check_connection if settings.pool_check else None,
        kwargs={"autocommit": True, "cursor_factory": psycopg.AsyncRawCursor},
        max_idle=settings.pool_max_idle,
    ) as pool:
        await pool.wait()
        yield _PsycopgPool(pool)


class _PsycopgPool:
    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._pool.connection() as connection:
            yield _PsycopgConnection(connection)


class _PsycopgConnection:
    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Any]:
        cursor = await self._connection.execute(sql, arguments)
        return await cursor.fetchall() if cursor.description else []

    def transaction(self) -> AbstractAsyncContextManager[object]:
        return self._connection.transaction()
