"""A service with a SQLAlchemy pool, as plain ASGI: what it does on request is what the tests ask about.

DSN and ENGINE (keywords of the engine, as JSON) come from the environment.
"""

import asyncio
import gc
import json
import os
import time
from contextlib import suppress

import anyio.to_thread
import in_threads
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

ENGINE = json.loads(os.environ.get("ENGINE", "{}"))
make_engine = in_threads.Engine if "+psycopg2:" in os.environ["DSN"] else create_async_engine
engine = make_engine(os.environ["DSN"], **ENGINE)
gate = asyncio.Event()  # what /hold and its like wait for, until someone asks for /release
waiting = 0

if "OWN_CONNECT" in os.environ:  # as one that fetches a short-lived password would

    @event.listens_for(engine.sync_engine, "do_connect")
    def _own_connect(dialect, record, arguments, parameters):
        parameters["password"] = os.environ["OWN_CONNECT"]


if "PING_RAISES" in os.environ:

    def _ping(connection):
        raise OSError("no route")

    vars(engine.dialect)["do_ping"] = _ping


async def at_gate():
    global waiting  # noqa: PLW0603
    waiting += 1
    await gate.wait()
    waiting -= 1


async def select():
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


async def hold():
    """A kill while this waits meets a connection in use, between two statements."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        await at_gate()
        await connection.execute(text("select 2"))


async def nested():
    """One connection, and another while it is held."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        await select()


async def in_turn():
    await select()
    await select()


async def detached():
    """The first is taken out of the pool, which has room for another then."""
    async with engine.connect() as connection:
        driver_connection = (await connection.get_raw_connection()).driver_connection
        assert driver_connection is not None
        await driver_connection.execute("select 1")
        assert connection.sync_connection is not None
        connection.sync_connection.connection.detach()
        await select()


async def beside():
    """Each task gives back its own, whatever becomes of the other."""
    await asyncio.gather(select(), select())


async def commit():
    async with engine.connect() as connection:
        await connection.execute(text("create temporary table t (a int)"))
        await at_gate()
        await connection.commit()


async def give_back():
    """A kill while this waits is met by nobody's statement: the roll-back of the pool finds it."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        await at_gate()


async def busy():
    async with engine.connect() as connection:
        await connection.execute(text("select pg_sleep(20)"))


async def swallow():
    """Handles what goes wrong and says 503."""
    try:
        await select()
    except DBAPIError:
        return 503
    return 200


async def wrong():
    async with engine.connect() as connection:
        await connection.execute(text("select :secret / 0"), {"secret": 424242})


async def thread():
    """A sync engine in a worker thread, as a sync endpoint of FastAPI has it."""
    sync_engine = create_engine(os.environ["DSN"])

    def query():
        with sync_engine.connect() as connection:
            connection.execute(text("select 1"))
        sync_engine.dispose()

    await anyio.to_thread.run_sync(query)


async def raw():
    """Below SQLAlchemy's Connection nobody rolls back but the pool, when it is given back."""
    sync_engine = create_engine(os.environ["DSN"])

    def query():
        connection = sync_engine.raw_connection()
        connection.cursor().execute("select 1")
        return connection

    connection = await anyio.to_thread.run_sync(query)
    await at_gate()
    await anyio.to_thread.run_sync(connection.close)


kept: list[AsyncConnection] = []


async def keep():
    """What a service does that forgets to give back: the connection outlives the request."""
    connection = await engine.connect()
    await connection.execute(text("select 1"))
    kept.append(connection)


async def give_kept():
    """What it does that gives back late, as a task in the background would."""
    await kept.pop().close()


async def lose():
    """From here on nobody has it but the garbage collector."""
    kept.clear()
    gc.collect()


async def sleep_in_database():
    async with engine.connect() as connection:
        await connection.execute(text("select pg_sleep(0.2)"))
        await asyncio.sleep(0.1)


async def two_at_once():
    """Parts that are longer than the whole."""

    async def one():
        async with engine.connect() as connection:
            await connection.execute(text("select pg_sleep(0.2)"))

    await asyncio.gather(one(), one())


async def stall():
    """What no `async def` should do: nothing else of this process runs meanwhile."""
    time.sleep(0.3)


async def elsewhere():
    return 307


async def streamed(receive, send):
    """Begins to answer, and works until the client hangs up or the work is done, as Starlette does with a stream."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"well", "more_body": True})
    work = asyncio.create_task(busy())
    while (await receive())["type"] != "http.disconnect":
        pass
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def release():
    gate.set()


async def held():
    """Asks for nothing: every answer carries the number of requests at the gate."""


async def dispose():
    await engine.dispose()


PATHS = {
    f"/{f.__name__}": f
    for f in (
        select,
        nested,
        in_turn,
        beside,
        detached,
        hold,
        commit,
        give_back,
        raw,
        busy,
        swallow,
        wrong,
        thread,
        release,
        held,
        dispose,
        keep,
        give_kept,
        lose,
        sleep_in_database,
        two_at_once,
        stall,
        elsewhere,
    )
}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/streamed":
        await streamed(receive, send)
        return
    status = await PATHS[scope["path"]]() or 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": str(waiting).encode()})
