"""FastAPI on SQLAlchemy behind a balancer of its own, which forgets a connection at rest in silence.

The next byte on a forgotten connection is answered by a reset, as a network load balancer does: until then the
kernel holds it for alive.
"""

import asyncio
import os
import socket
import struct
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

REMEMBERS_S = 0.5
url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")


def reset(writer):
    """End it by RST, not FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def relay(reader, writer):
    server_reader, server_writer = await asyncio.open_connection(url.host, url.port)
    heard = time.monotonic()

    async def back():
        nonlocal heard
        while data := await server_reader.read(65536):
            heard = time.monotonic()
            writer.write(data)
        writer.close()

    answering = asyncio.create_task(back())
    while data := await reader.read(65536):
        if time.monotonic() - heard > REMEMBERS_S:
            reset(writer)
            break
        heard = time.monotonic()
        server_writer.write(data)
    server_writer.close()
    await answering


@asynccontextmanager
async def lifespan(app):
    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        pre_ping = bool(os.environ.get("PRE_PING"))
        app.state.engine = create_async_engine(
            url.set(port=port), pool_size=4, max_overflow=0, pool_pre_ping=pre_ping
        )
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/up")
async def up():
    return {}


@app.get("/work")
async def work():
    async with app.state.engine.begin() as connection:
        return {"found": (await connection.execute(text("select 1"))).scalar_one()}
