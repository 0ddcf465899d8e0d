"""A service that fails as it is told, and keeps books of what it was doing.

The file CUE says what is on: a name, and the scripts that requests take in turn. The books, in the file BOOKS, have
a line when a request is given its script, one when it begins a step, and one when it is over; times are
time.monotonic_ns().
"""

import asyncio
import itertools
import json
import os
import time
from pathlib import Path

import anyio.to_thread
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

POOL_TIMEOUT_S = 0.7
CONNECT_TIMEOUT_S = 2
DRIVER = os.environ["DRIVER"]
SIZES = {"roomy": 12, "small": 2, "elsewhere": 8}

# A COMMIT that takes its time: a deferred trigger sleeps in it.
SCHEMA = """
CREATE TABLE writes (a serial)
CREATE TABLE once (a int PRIMARY KEY)
INSERT INTO once VALUES (1)
CREATE TABLE lingering (a int)
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.3); RETURN NULL; END'
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON lingering \
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger()
"""

# From now on the database lets only two in; those who are in stay.
FENCE = """
DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(1);
    IF (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) < 0 THEN
        EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' CONNECTION LIMIT 2';
    END IF;
END $$
"""

books = os.open(os.environ["BOOKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
turns = itertools.count()
engines: dict = {}


def note(**line):
    os.write(books, (json.dumps({**line, "t": time.monotonic_ns()}) + "\n").encode())


class InLoop:
    """asyncpg and psycopg: SQLAlchemy's greenlets."""

    def __init__(self, dsn, **options):
        self.engine = create_async_engine(dsn, **options)

    async def visit(self, perform):
        async with self.engine.connect() as connection:
            await connection.run_sync(perform, lambda seconds: await_only(asyncio.sleep(seconds)))


class InThread:
    """psycopg2: a worker thread for each request."""

    def __init__(self, dsn, **options):
        self.engine = create_engine(dsn, **options)
        self.threads = anyio.CapacityLimiter(200)

    async def visit(self, perform):
        def visit():
            with self.engine.connect() as connection:
                perform(connection, time.sleep)

        await anyio.to_thread.run_sync(visit, limiter=self.threads)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["path"] == "/play":
        await play(scope, send)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ready"})


async def live(receive, send):
    await receive()
    scheme, rest = os.environ["POSTGRES"].split("://")
    limit = "timeout" if DRIVER == "asyncpg" else "connect_timeout"
    for name, size in SIZES.items():
        engines[name] = (InThread if DRIVER == "psycopg2" else InLoop)(
            f"{scheme}+{DRIVER}://{rest}" + ("_that_is_none" if name == "elsewhere" else ""),
            pool_size=size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=os.environ.get("PRE_PING") == "true",
            connect_args={limit: CONNECT_TIMEOUT_S},
        )
    await engines["small"].visit(make_schema)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def make_schema(connection, _pause):
    for statement in SCHEMA.strip().splitlines():
        connection.exec_driver_sql(statement)
    connection.commit()


async def play(scope, send):
    """One request. Whatever goes wrong leaves the service as it came."""
    cue = json.loads(Path(os.environ["CUE"]).read_text())
    script = cue["scripts"][next(turns) % len(cue["scripts"])]
    request = dict(scope["headers"]).get(b"x-request-id", b"?").decode()
    note(k="asked", id=request, cue=cue["name"], script=script["name"])
    try:
        async with asyncio.timeout(script["limit_s"]):
            await act(request, script, send)
    except BaseException:
        note(k="over", id=request, failed=True)
        raise
    note(k="over", id=request, failed=False)
    if script["steps"][0] != "answer":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def act(request, script, send):
    steps = script["steps"]
    if steps[0] == "answer":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        steps = steps[1:]
    if steps[0] == "dawdle":
        note(k="step", id=request, step="dawdle")
        await asyncio.sleep(4)  # longer than anyone's patience, with nothing of the database's in hand
        steps = steps[1:]

    def perform(connection, pause):
        for step in steps:
            note(k="step", id=request, step=step)
            STEPS[step](connection, pause)
        note(k="step", id=request, step="give back")

    note(k="step", id=request, step="check out")
    await engines[script["pool"]].visit(perform)


def fail(_connection, _pause):
    raise KeyError("prompt")


def sql(statement):
    return lambda connection, _pause: connection.exec_driver_sql(statement)


STEPS = {
    "ask": sql("SELECT 1"),
    "sleep": sql("SELECT pg_sleep(1.3)"),
    "pause": lambda _connection, pause: pause(0.3),
    "fence": sql(FENCE),
    "think": lambda _connection, pause: pause(1.3),
    "insert": sql("INSERT INTO writes VALUES (default)"),
    "insert slowly": sql("INSERT INTO lingering VALUES (1)"),
    "clash": sql("INSERT INTO once VALUES (1)"),
    "limit oneself": sql("SET LOCAL statement_timeout = 100"),
    "end oneself": sql("SELECT pg_terminate_backend(pg_backend_pid())"),
    "commit": lambda connection, _pause: connection.commit(),
    "roll back": lambda connection, _pause: connection.rollback(),
    "raise": fail,
}
