"""A service without SQLAlchemy: LIBRARY names its pool, or its single connection; OPTIONS go to that, as JSON."""

import asyncio
import json
import os
import time

from libraries import LIBRARIES

OPTIONS = json.loads(os.environ.get("OPTIONS", "{}"))
library = LIBRARIES[os.environ["LIBRARY"]](
    os.environ["DSN"].replace("postgresql+asyncpg:", "postgresql:"), OPTIONS
)
gate = asyncio.Event()  # what /hold and its like wait for, until a request asks for /release
waiting = 0


async def at_gate():
    global waiting  # noqa: PLW0603
    waiting += 1
    try:
        await gate.wait()
    finally:
        waiting -= 1


async def select():
    async with library.connection() as execute:
        await execute("select 1")


async def hold():
    async with library.connection() as execute:
        await execute("select 1")
        await at_gate()
        await execute("select 2")


async def nested():
    async with library.connection() as execute:
        await execute("select 1")
        await select()


async def in_turn():
    await select()
    await select()


async def commit():
    async with library.transaction() as execute:
        await execute("create temporary table t (a int)")
        await at_gate()


async def give_back():
    async with library.connection() as execute:
        await execute("select 1")
        await at_gate()


async def busy():
    async with library.connection() as execute:
        await execute("select pg_sleep(20)")


async def wrong():
    async with library.connection() as execute:
        await execute("select 1 / 0")


async def cancelled():
    async with asyncio.timeout(0.2):
        await busy()


async def late():
    """Nothing else of this process runs before the connection is asked for."""
    time.sleep(1)
    await select()


async def lost():
    """Takes one and never gives it back."""
    await library.take()


async def release():
    gate.set()
    gate.clear()


async def held():
    """Asks for nothing: every answer carries the number of requests at the gate."""


async def open_pool():
    await library.open()


async def check_pool():
    await library.check()


ACTIONS = (select, hold, nested, in_turn, commit, give_back, busy, wrong, cancelled, lost, late)
PATHS = {f"/{each.__name__}": each for each in (*ACTIONS, release, held, open_pool, check_pool)}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await PATHS[scope["path"]]()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(waiting).encode()})
