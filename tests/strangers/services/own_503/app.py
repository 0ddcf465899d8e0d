"""Starlette on psycopg's pool that answers 503 in words of its own whenever its database fails, and logs nothing."""

import os
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

check = AsyncConnectionPool.check_connection if os.environ.get("CHECK") else None


@asynccontextmanager
async def lifespan(app):
    url = os.environ["DATABASE_URL"]
    async with AsyncConnectionPool(url, min_size=4, max_size=4, check=check) as app.state.pool:
        yield


async def up(request):
    return JSONResponse({})


async def work(request):
    try:
        async with request.app.state.pool.connection() as connection:
            await connection.execute("select 1")
    except psycopg.Error:
        return JSONResponse({"sorry": "try again later"}, 503)
    return JSONResponse({})


app = Starlette(routes=[Route("/up", up), Route("/work", work)], lifespan=lifespan)
