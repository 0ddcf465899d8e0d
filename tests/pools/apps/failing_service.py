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
import psqlpy
import psycopg
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
    """psycopg2 and pg8000: a worker thread."""

    def __init__(self, dsn, **options):
        self.engine = create_engine(dsn, **options)

    async def visit(self, steps):
        def visit():
            with self.engine.connect() as connection:
                perform(connection, steps, lambda: anyio.from_thread.run(at_gate))

        await anyio.to_thread.run_sync(visit)

    async def dispose(self):
        await anyio.to_thread.run_sync(self.engine.dispose)


class InPipeline:
    """psycopg without SQLAlchemy: one connection, and each visit is a pipeline."""

    def __init__(self, dsn, **_):
        self.dsn = dsn
        self.connection = None

    async def visit(self, steps):
        if self.connection is None:
            self.connection = await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)
        async with self.connection.pipeline():
            for step in steps:
                await (at_gate() if step == "GATE" else self.connection.execute(step))

    async def dispose(self):
        if self.connection is not None:
            await self.connection.close()


class InPsqlpy:
    """psqlpy without SQLAlchemy: its own pool."""

    def __init__(self, dsn, **_):
        self.pool = psqlpy.ConnectionPool(dsn=dsn, max_db_pool_size=2)

    async def visit(self, steps):
        async with self.pool.acquire() as connection:
            for step in steps:
                await (at_gate() if step == "GATE" else connection.execute(step))

    async def dispose(self):
        self.pool.close()


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
        case "COMMIT" | "ROLLBACK":
            getattr(connection, step.lower())()
        case "BIG":  # more than the kernel buffers
            connection.exec_driver_sql(f"select length('{'x' * 30_000_000}')")
        case "SECOND":  # while the first is held
            connection.engine.connect().close()
        case "MANY":  # with psycopg a pipeline
            connection.execute(text("insert into slow_insert values (:a)"), [{"a": 1}, {"a": 2}])
        case "RAISE":
            raise KeyError("prompt")
        case "TOGETHER" | "SESSION":
            pass
        case _:
            connection.exec_driver_sql(step)


MAKE: dict = {"psycopg2": InThread, "pg8000": InThread, "pipeline": InPipeline, "psqlpy": InPsqlpy}


@asynccontextmanager
async def engine_of(plan):
    driver = plan["dsn"].partition(":")[0].removeprefix("postgresql+")
    make = MAKE.get(driver, InLoop)
    dsn = plan["dsn"].replace(f"+{driver}", "") if make in {InPipeline, InPsqlpy} else plan["dsn"]
    engine = make(dsn, **plan.get("engine", {}))
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
