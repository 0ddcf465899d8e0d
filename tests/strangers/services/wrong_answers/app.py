"""FastAPI that answers another question than was asked, now and then, and says 200 to it."""

import itertools
import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI

turns = itertools.count()


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=4) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/up")
async def up():
    return {}


@app.get("/answers/{asked}")
async def answer(asked: int):
    wrong = os.environ.get("MIXES_UP") and next(turns) % 5 == 0
    return {"answer": await app.state.pool.fetchval("select $1::int", asked + bool(wrong))}
