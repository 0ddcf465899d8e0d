"""A service that keeps notes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.settings import DSN
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

pool = AsyncConnectionPool(DSN, min_size=1, max_size=4, open=False)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """The pool lives as long as the application, which makes its table itself."""
    async with pool:
        async with pool.connection() as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text)")
        yield


async def list_notes(request: Request) -> Response:
    """All notes."""
    async with pool.connection() as connection:
        rows = await (await connection.execute("SELECT text FROM notes")).fetchall()
    return JSONResponse([row[0] for row in rows])


async def read_note(request: Request) -> Response:
    """One note."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT text FROM notes WHERE id = %s", [request.path_params["note"]]
        )
        row = await cursor.fetchone()
    return PlainTextResponse(row[0]) if row else Response(status_code=404)


async def ping(request: Request) -> Response:
    """Whether it is up."""
    return PlainTextResponse("pong")


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/ping", ping),
        Route("/notes", list_notes),
        Route("/notes/{note:int}", read_note),
    ],
)
