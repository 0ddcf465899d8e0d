"""FastAPI on SQLAlchemy and psycopg, served by hypercorn."""

import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
engine = create_async_engine(URL, pool_size=4, max_overflow=0, pool_pre_ping=bool(os.environ.get("PRE_PING")))
app = FastAPI()


@app.get("/up")
async def up():
    return {}


@app.get("/work")
async def work():
    async with engine.begin() as connection:
        return {"found": (await connection.execute(text("select 1"))).scalar_one()}
