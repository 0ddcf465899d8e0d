"""FastAPI that begins to answer and only then asks its pool, while its reader may be gone."""

import os

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
engine = create_async_engine(
    URL, pool_size=4, max_overflow=0, pool_timeout=3, pool_pre_ping=bool(os.environ.get("PRE_PING"))
)
app = FastAPI()


@app.get("/up")
async def up():
    return {}


@app.get("/work")
async def work():
    async def answer():
        yield "one moment\n"
        for _ in range(3):
            async with engine.connect() as connection:
                yield f"{(await connection.execute(text('select 1'))).scalar_one()}\n"

    return StreamingResponse(answer())
