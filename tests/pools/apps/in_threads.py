"""A blocking engine with the face of an async one, for pooled.py: every call runs in a worker thread."""

from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread
from sqlalchemy import create_engine


class Engine:
    """What pooled.py uses of an AsyncEngine."""

    def __init__(self, dsn, **options):
        self.sync_engine = create_engine(dsn, **options)
        self.dialect = self.sync_engine.dialect

    @asynccontextmanager
    async def connect(self):
        connection = await _thread(self.sync_engine.connect)
        try:
            yield Connection(connection)
        finally:
            await _thread(connection.close)

    async def dispose(self):
        await _thread(self.sync_engine.dispose)


class Connection:
    """What pooled.py uses of an AsyncConnection."""

    def __init__(self, connection):
        self._connection = connection

    async def execute(self, *arguments):
        return await _thread(self._connection.execute, *arguments)

    async def commit(self):
        await _thread(self._connection.commit)

    async def rollback(self):
        await _thread(self._connection.rollback)


async def _thread(function, *arguments):
    return await anyio.to_thread.run_sync(partial(function, *arguments))
