"""One connection for everybody: once it has failed, the service gives up for ever, or opens it again."""

import asyncio
import os
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI

lock = asyncio.Lock()


async def connect():
    return await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True)


@asynccontextmanager
async def lifespan(app):
    app.state.connection = await connect()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/up")
async def up():
    return {}


@app.get("/work")
async def work():
    async with lock:
        if app.state.connection.broken and os.environ.get("RECONNECT"):
            app.state.connection = await connect()
        await app.state.connection.execute("select 1")
    return {}
