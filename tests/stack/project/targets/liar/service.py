"""A service that keeps notes, and lies about them in the way that LIE names. Every write holds the client's key.

honest    says 200 when it is committed
early     says 200, then commits
again     tries once more when it does not know, without looking whether it is there
quiet     says 200 whatever happened
"""

import os
from contextlib import asynccontextmanager, suppress

from fastapi import BackgroundTasks, FastAPI, Header
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(
    os.environ["DATABASE"].replace("postgresql:", "postgresql+asyncpg:"),
    pool_size=4,
    pool_pre_ping=True,  # so that only what dies in use is seen
)
INSERT = text("INSERT INTO notes VALUES (:key)")


@asynccontextmanager
async def lifespan(_):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE notes (key text)"))
        await connection.execute(text("INSERT INTO notes VALUES ('here before'), ('here before')"))
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def honest(key, _later):
    async with engine.begin() as connection:
        await connection.execute(INSERT, {"key": key})


async def early(key, later):
    connection = await engine.connect()
    await connection.execute(INSERT, {"key": key})
    later.add_task(commit, connection)


async def commit(connection):
    try:
        await connection.commit()
    finally:
        await connection.close()


async def again(key, later):
    try:
        await honest(key, later)
    except DBAPIError:
        await honest(key, later)


async def quiet(key, later):
    with suppress(DBAPIError):
        await honest(key, later)


LIES = {"honest": honest, "early": early, "again": again, "quiet": quiet}


@app.post("/notes")
async def note(later: BackgroundTasks, idempotency_key: str = Header()):
    await LIES[os.environ["LIE"]](idempotency_key, later)
    return {}


@app.get("/ready")
async def ready():
    return {}
