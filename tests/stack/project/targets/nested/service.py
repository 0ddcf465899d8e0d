"""A request takes a session, and calls a helper that takes one of its own: two connections of one pool at once."""

import asyncio
import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(
    os.environ["DSN"], pool_size=int(os.environ["POOL_SIZE"]), max_overflow=0, pool_timeout=0.3
)
session = async_sessionmaker(engine)
app = FastAPI()


@app.get("/ready")
async def ready():
    return "yes"


@app.get("/work")
async def work():
    async with session() as outer:
        await outer.execute(text("SELECT 1"))
        await asyncio.sleep(0.05)
        await remember()
    return "done"


async def remember():
    async with session() as inner:
        await inner.execute(text("SELECT 2"))
