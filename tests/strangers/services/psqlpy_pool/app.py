"""Starlette on psqlpy's pool, a driver in Rust: no socket of Python's, and no exception that others have."""

import asyncio
import os
from contextlib import asynccontextmanager

from psqlpy import ConnectionPool
from psqlpy.exceptions import Error
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    app.state.pool = ConnectionPool(dsn=os.environ["DATABASE_URL"], max_db_pool_size=4)
    yield
    app.state.pool.close()


async def up(request):
    return JSONResponse({})


async def ask(pool):
    async with pool.acquire() as connection:
        await connection.fetch_val("select 1::int8")
        await asyncio.sleep(0.05)
        await connection.fetch_val("select 2::int8")


async def work(request):
    try:
        await ask(request.app.state.pool)
    except Error:
        if not os.environ.get("AGAIN"):
            raise
        await ask(request.app.state.pool)
    return JSONResponse({})


app = Starlette(routes=[Route("/up", up), Route("/work", work)], lifespan=lifespan)
