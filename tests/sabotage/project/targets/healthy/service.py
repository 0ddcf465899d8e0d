"""A service with nothing wrong: a pool that pings, larger than its users need, and one short query for each request.

Raw ASGI: it is started some twenty times, and a framework takes longer to import than all else that it does.
"""

import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DSN"], pool_size=4, pool_pre_ping=True)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    said = await work() if scope["path"] == "/work" else b"yes"
    headers = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


async def work():
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(0.005)"))
    return b"done"
