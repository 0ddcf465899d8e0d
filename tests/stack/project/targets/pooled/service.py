"""The least that has SQLAlchemy's pool: /work writes, and holds the connection for HOLD_MS until it commits.

For runs that are not about the sample agent, whose imports take twice as long. Settings have its names.
"""

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

HOLD_S = float(os.environ.get("HOLD_MS", "40")) / 1000
engine = create_async_engine(
    os.environ["DSN"],
    pool_size=int(os.environ.get("DB_POOL_SIZE", "5")),
    pool_pre_ping=os.environ.get("DB_POOL_PRE_PING") == "true",
)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS asked (at timestamptz DEFAULT now())"))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await engine.dispose()
        await send({"type": "lifespan.shutdown.complete"})
        return
    said = await work() if scope["path"] == "/work" else b"ready"
    headers = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


async def work():
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO asked DEFAULT VALUES"))
        await asyncio.sleep(HOLD_S)
    return b"done"
