"""FastAPI with a limit of 0.6 s around its database, whose event loop now and then stands still for 0.8 s.

STALL=loop: the work is done in the event loop; STALL=thread: beside it.
"""

import asyncio
import itertools
import os
import time

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
engine = create_async_engine(URL, pool_size=4, max_overflow=0)
turns = itertools.count(1)
app = FastAPI()


@app.get("/up")
async def up():
    return {}


@app.get("/work")
async def work():
    if next(turns) % 8 == 0:
        if os.environ["STALL"] == "loop":
            time.sleep(0.8)
        else:
            await asyncio.to_thread(time.sleep, 0.8)
    async with asyncio.timeout(0.6), engine.connect() as connection:
        await connection.execute(text("select 1"))
    return {}
