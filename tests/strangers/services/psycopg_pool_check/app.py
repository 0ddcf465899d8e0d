"""Starlette on psycopg's own pool, which looks at a connection before it lends it, or does not."""

import os
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

check = AsyncConnectionPool.check_connection if os.environ.get("CHECK") else None


@asynccontextmanager
async def lifespan(app):
    async with AsyncConnectionPool(
        os.environ["DATABASE_URL"], min_size=4, max_size=4, timeout=10, check=check
    ) as app.state.pool:
        yield


async def up(request):
    return JSONResponse({})


async def work(request):
    async with request.app.state.pool.connection() as connection:
        await connection.execute("select 1")
    return JSONResponse({})


app = Starlette(routes=[Route("/up", up), Route("/work", work)], lifespan=lifespan)
