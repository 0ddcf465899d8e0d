"""Starlette on asyncpg's own pool: a transaction that is tried again after a lost connection, or is not."""

import asyncio
import os
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=4) as app.state.pool:
        yield


async def up(request):
    return JSONResponse({})


async def transact(pool):
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchval("select 1")
        await asyncio.sleep(0.05)
        await connection.fetchval("select 2")


async def work(request):
    try:
        await transact(request.app.state.pool)
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
        if not os.environ.get("AGAIN"):
            raise
        await transact(request.app.state.pool)
    return JSONResponse({})


app = Starlette(routes=[Route("/up", up), Route("/work", work)], lifespan=lifespan)
