"""A service that lets one request at a time to its database, whatever the size of its pool."""

import asyncio
import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(
    os.environ["DSN"], pool_size=int(os.environ["POOL_SIZE"]), max_overflow=0, pool_timeout=0.3
)
session = async_sessionmaker(engine)
lock = asyncio.Lock()
app = FastAPI()


@app.get("/ready")
async def ready():
    return "yes"


@app.get("/work")
async def work():
    async with lock, session() as own:
        await own.execute(text("SELECT pg_sleep(0.1)"))
    return "done"
