"""A service that selects a one, through the pool that is named, and does nothing else: the witness's worst case."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Select = Callable[[], Awaitable[None]]

DSN = os.environ["DSN"]


def of_sqlalchemy() -> Select:
    """SQLAlchemy and asyncpg."""
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(DSN.replace("postgresql:", "postgresql+asyncpg:"))
    one = text("SELECT 1")

    async def select() -> None:
        async with engine.connect() as connection:
            await connection.execute(one)

    return select


def of_asyncpg() -> Select:
    """asyncpg's own pool."""
    import asyncpg

    pools: list[Any] = []  # made by the first request: a pool belongs to the loop in which it was made

    async def select() -> None:
        if not pools:
            pools.append(await asyncpg.create_pool(DSN, min_size=1, max_size=5))
        async with pools[0].acquire() as connection:
            await connection.fetch("SELECT 1")

    return select


def of_psycopg_pool() -> Select:
    """psycopg's own pool."""
    from psycopg_pool import AsyncConnectionPool

    pool: Any = AsyncConnectionPool(DSN, open=False, min_size=1, max_size=5)

    async def select() -> None:
        if pool.closed:
            await pool.open()
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")

    return select


POOLS = {"sqlalchemy": of_sqlalchemy, "asyncpg": of_asyncpg, "psycopg_pool": of_psycopg_pool}
select_one = POOLS[os.environ.get("BROKENPIPE_BENCH_POOL", "sqlalchemy")]()


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],  # noqa: ARG001
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """A select, then 200."""
    if scope["type"] != "http":
        return
    await select_one()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
