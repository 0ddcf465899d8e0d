"""Pools and single connections of drivers, each with the same face: what driver_pools.py uses of them.

`connection()` gives a function that executes a statement; `transaction()` commits at its end.
"""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread


class Library:
    """`_pool` is opened by the first request that asks."""

    def __init__(self, dsn, options):
        self.dsn, self.options = dsn, options
        self._pool = None
        self._lock = asyncio.Lock()
        self._taken = []

    async def open(self):
        async with self._lock:
            if self._pool is None:
                self._pool = await self._open()
        return self._pool

    async def _open(self):
        raise NotImplementedError

    async def check(self):
        raise NotImplementedError

    def connection(self):
        raise NotImplementedError

    async def take(self):
        manager = self.connection()
        self._taken.append((manager, await manager.__aenter__()))


class PsycopgPool(Library):
    """AsyncConnectionPool; with `check`, if the options say so."""

    def _class(self):
        from psycopg_pool import AsyncConnectionPool

        return AsyncConnectionPool

    async def _open(self):
        kind = self._class()
        options = dict(self.options)
        if options.pop("check", False):
            options["check"] = kind.check_connection
        pool = kind(self.dsn, open=False, kwargs={"autocommit": True}, **options)
        await pool.open()
        return pool

    async def check(self):
        await (await self.open()).check()

    @asynccontextmanager
    async def connection(self):
        async with (await self.open()).connection() as connection:
            yield connection.execute

    @asynccontextmanager
    async def transaction(self):
        async with (await self.open()).connection() as connection, connection.transaction():
            yield connection.execute


class PsycopgNullPool(PsycopgPool):
    def _class(self):
        from psycopg_pool import AsyncNullConnectionPool

        return AsyncNullConnectionPool


class PsycopgPoolInThreads(PsycopgPool):
    """ConnectionPool, every call in a worker thread."""

    async def _open(self):
        from psycopg_pool import ConnectionPool

        options = dict(self.options)
        if options.pop("check", False):
            options["check"] = ConnectionPool.check_connection
        return ConnectionPool(self.dsn, open=True, kwargs={"autocommit": True}, **options)

    async def check(self):
        await _thread((await self.open()).check)

    @asynccontextmanager
    async def connection(self):
        async with _in_thread((await self.open()).connection()) as connection:
            yield partial(_thread, connection.execute)

    @asynccontextmanager
    async def transaction(self):
        async with (
            _in_thread((await self.open()).connection()) as connection,
            _in_thread(connection.transaction()),
        ):
            yield partial(_thread, connection.execute)


class AsyncpgPool(Library):
    """asyncpg.create_pool."""

    async def _open(self):
        import asyncpg

        return await asyncpg.create_pool(self.dsn, **{"min_size": 2, "max_size": 2, **self.options})

    @asynccontextmanager
    async def connection(self):
        async with (await self.open()).acquire(timeout=1) as connection:
            yield connection.execute

    @asynccontextmanager
    async def transaction(self):
        async with (await self.open()).acquire(timeout=1) as connection, connection.transaction():
            yield connection.execute


class OneAsyncpg(Library):
    """A single connection that a service keeps."""

    async def _open(self):
        import asyncpg

        return await asyncpg.connect(self.dsn)

    @asynccontextmanager
    async def connection(self):
        yield (await self.open()).fetch

    @asynccontextmanager
    async def transaction(self):
        connection = await self.open()
        async with connection.transaction():
            yield connection.execute


class OneAsyncpgEach(OneAsyncpg):
    """A connection for each request, and no pool."""

    @asynccontextmanager
    async def connection(self):
        connection = await self._open()
        try:
            yield connection.fetch
        finally:
            await connection.close()


class OnePsycopg(Library):
    """A single connection that a service keeps."""

    async def _open(self):
        import psycopg

        return await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)

    @asynccontextmanager
    async def connection(self):
        yield (await self.open()).execute

    @asynccontextmanager
    async def transaction(self):
        connection = await self.open()
        async with connection.transaction():
            yield connection.execute


class OnePsycopgEach(OnePsycopg):
    """A connection for each request, and no pool."""

    @asynccontextmanager
    async def connection(self):
        async with await self._open() as connection:
            yield connection.execute

    @asynccontextmanager
    async def transaction(self):
        async with await self._open() as connection, connection.transaction():
            yield connection.execute


async def _thread(function, *arguments):
    return await anyio.to_thread.run_sync(partial(function, *arguments), abandon_on_cancel=True)


@asynccontextmanager
async def _in_thread(manager):
    entered = await _thread(manager.__enter__)
    try:
        yield entered
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            if not await _thread(manager.__exit__, type(error), error, error.__traceback__):
                raise
    else:
        await _thread(manager.__exit__, None, None, None)


LIBRARIES = {
    "asyncpg_pool": AsyncpgPool,
    "one_asyncpg": OneAsyncpg,
    "asyncpg_each": OneAsyncpgEach,
    "psycopg_pool": PsycopgPool,
    "psycopg_pool_null": PsycopgNullPool,
    "psycopg_pool_threads": PsycopgPoolInThreads,
    "one_psycopg": OnePsycopg,
    "psycopg_each": OnePsycopgEach,
}
