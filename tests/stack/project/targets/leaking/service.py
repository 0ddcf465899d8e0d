"""A service whose first requests forget their connections: what they keep for later is never closed."""

import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(
    os.environ["DSN"], pool_size=int(os.environ["POOL_SIZE"]), max_overflow=0, pool_timeout=0.3
)
session = async_sessionmaker(engine)
kept: list[AsyncSession] = []
app = FastAPI()


@app.get("/ready")
async def ready():
    return "yes"


@app.get("/work")
async def work():
    own = session()
    await own.execute(text("SELECT pg_sleep(0.15)"))
    if len(kept) < int(os.environ["POOL_SIZE"]) - 1:
        kept.append(own)
        return "kept"
    await own.close()
    return "done"
