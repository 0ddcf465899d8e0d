"""A service that does what a request tells it to, on an engine made for that request; with any driver.

The query string is a plan as JSON: `dsn`, `engine` (keywords), `limit_s` (a time limit of the application's own)
and `visits`, each either a list of steps on one checked-out connection, or "GATE": wait with the connections idle.
`answer` says whether the response is begun before the visit of that number.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import unquote

import anyio.from_thread
import anyio.to_thread
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.util import await_only

gate = asyncio.Event()
waiting = 0


async def at_gate():
    global waiting  # noqa: PLW0603
    waiting += 1
    try:
        await gate.wait()
    finally:
        waiting -= 1


class InLoop:
    """asyncpg and psycopg: SQLAlchemy's greenlets."""

    def __init__(self, dsn, **options):
        self.engine = create_async_engine(dsn, **options)

    async def visit(self, steps):
        if steps == ["SESSION"]:
            await one_session(self.engine)
        async with self.engine.connect() as connection:
            if steps == ["TOGETHER"]:
                await one_connection(connection)
            await connection.run_sync(perform, steps, lambda: await_only(at_gate()))

    async def dispose(self):
        await self.engine.dispose()


async def one_session(engine):
    """Two tasks that share a session."""
    async with AsyncSession(engine) as session:
        await together(session.execute(text("select 1")), session.execute(text("select 1")))


async def one_connection(connection):
    """Two tasks that share what lies below SQLAlchemy's adapter."""
    driver = (await connection.get_raw_connection()).driver_connection
    await together(driver.execute("select pg_sleep(0.2)"), driver.execute("select 1"))


async def together(*tasks):
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


class InThread:
    """psycopg2: a worker thread."""

    def __init__(self, dsn, **options):
        self.engine = create_engine(dsn, **options)

    async def visit(self, steps):
        def visit():
            with self.engine.connect() as connection:
                perform(connection, steps, lambda: anyio.from_thread.run(at_gate))

        await anyio.to_thread.run_sync(visit)

    async def dispose(self):
        await anyio.to_thread.run_sync(self.engine.dispose)


def perform(connection, steps, pause):
    for step in steps:
        swallowed = step.removeprefix("TRY ")
        try:
            _perform(connection, swallowed, pause)
        except Exception:
            if swallowed == step:
                raise


def _perform(connection, step, pause):
    match step:
        case "GATE":
            pause()
        case "COMMIT":
            connection.commit()
        case "ROLLBACK":
            connection.rollback()
        case "BIG":  # more than the kernel buffers
            connection.exec_driver_sql(f"select length('{'x' * 30_000_000}')")
        case "SECOND":  # while the first is held
            connection.engine.connect().close()
        case "RAISE":
            raise KeyError("prompt")
        case "TOGETHER" | "SESSION":
            pass
        case _:
            connection.exec_driver_sql(step)


@asynccontextmanager
async def engine_of(plan):
    make = InThread if "+psycopg2:" in plan["dsn"] else InLoop
    engine = make(plan["dsn"], **plan.get("engine", {}))
    try:
        yield engine
    finally:
        await engine.dispose()


async def act(plan, send):
    async with engine_of(plan) as engine, asyncio.timeout(plan.get("limit_s")):
        for n, visit in enumerate(plan["visits"]):
            if n == plan.get("answer"):
                await send({"type": "http.response.start", "status": 200, "headers": []})
            if visit == "GATE":
                await at_gate()
            else:
                await engine.visit(visit)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/act":
        await act(json.loads(unquote(scope["query_string"].decode())), send)
    elif scope["path"] == "/release":
        gate.set()
        gate.clear()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(waiting).encode()})
