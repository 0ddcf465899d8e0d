"""A service with nothing wrong: a pool that pings, larger than its users need, and one short query for each request."""

import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DSN"], pool_size=4, pool_pre_ping=True)
app = FastAPI()


@app.get("/ready")
async def ready():
    return "yes"


@app.get("/work")
async def work():
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(0.005)"))
    return "done"
