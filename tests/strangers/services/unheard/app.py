"""FastAPI that closes each third connection without an answer, though the work is done, as if it had been killed."""

import os
import sys
from collections import Counter
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

open_connections: dict = {}
asked: Counter = Counter()


class Known(H11Protocol):
    """One connection of a client, known by its address."""

    def connection_made(self, transport):
        super().connection_made(transport)
        open_connections[transport.get_extra_info("peername")] = transport


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/up")
async def up():
    return {}


@app.get("/work")
async def work(request: Request):
    client = tuple(request.scope["client"])
    await app.state.pool.fetchval("select 1")
    asked[client] += 1
    if os.environ.get("CLOSES") and asked[client] % 3 == 0:
        open_connections[client].abort()
    return {}


if __name__ == "__main__":
    uvicorn.run(
        app, host=sys.argv[1], port=int(sys.argv[2]), http=Known, access_log=False, timeout_keep_alive=75
    )
