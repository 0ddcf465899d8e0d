"""The engine with its connection pool, and the sessions that borrow from it.

Every query is a plain function over a SQLAlchemy `Session`. Where it runs is decided here, once:

    asyncpg, psycopg    AsyncSession.run_sync     in the event loop, by SQLAlchemy's greenlets
    psycopg2            ThreadedSession.run_sync  in a worker thread
"""

import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from uuid import uuid4

from anyio import CancelScope, CapacityLimiter, to_thread
from sqlalchemy import URL, Connection, Engine, NullPool, Pool, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from agent import silence
from agent.settings import Driver, Names, Settings

P = ParamSpec("P")
T = TypeVar("T")


class RequestSession(Protocol):
    """A session of one request: it borrows a connection at its first query, until a commit or its close."""

    async def run_sync(
        self, function: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query function on the session, without blocking other requests."""


class Database(Protocol):
    """What lives as long as the application. Whoever makes one must dispose of it."""

    @property
    def pool(self) -> Pool:
        """The connection pool."""

    def session(self) -> AbstractAsyncContextManager[RequestSession]:
        """A session for one request, closed with the block."""

    async def transact(self, function: Callable[[Connection], None]) -> None:
        """Run a function in a transaction of its own."""

    async def dispose(self) -> None:
        """Close every connection that is in the pool."""


def make_database(settings: Settings, *, pooled: bool = True) -> Database:
    """Make the engine. It opens no connection yet. Without a pool each is opened for its use and closed after it."""
    url = make_url(settings.database_url.get_secret_value())
    url = url.set(drivername=f"postgresql+{settings.db_driver}")
    if settings.db_driver is Driver.PSYCOPG2:
        return _threaded(url, settings, pooled=pooled)
    engine = create_async_engine(url, **_options(settings, pooled=pooled))
    if settings.db_driver is Driver.ASYNCPG:
        silence.on_each_socket(engine.sync_engine, settings)
    # What was loaded stays readable after a commit, without another query.
    return AsyncDatabase(engine, async_sessionmaker(engine, expire_on_commit=False))


@dataclass(frozen=True, slots=True)
class AsyncDatabase:
    """For drivers that speak asyncio."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    @property
    def pool(self) -> Pool:
        return self.engine.pool

    def session(self) -> AbstractAsyncContextManager[RequestSession]:
        return self.sessions()  # type: ignore[return-value]  # generic run_sync against generic run_sync

    async def transact(self, function: Callable[[Connection], None]) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(function)

    async def dispose(self) -> None:
        await self.engine.dispose()


@dataclass(frozen=True, slots=True)
class ThreadedDatabase:
    """For drivers that block: every call takes a thread while it lasts."""

    engine: Engine
    sessions: sessionmaker[Session]
    threads: CapacityLimiter

    @property
    def pool(self) -> Pool:
        return self.engine.pool

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RequestSession]:
        session = ThreadedSession(self.sessions(), self.threads)
        try:
            yield session
        finally:
            # A request that is cancelled gives its connection back all the same.
            with CancelScope(shield=True):
                await session.run_sync(Session.close)

    async def transact(self, function: Callable[[Connection], None]) -> None:
        def begin() -> None:
            with self.engine.begin() as connection:
                function(connection)

        await to_thread.run_sync(begin, limiter=self.threads)

    async def dispose(self) -> None:
        await to_thread.run_sync(self.engine.dispose, limiter=self.threads)


class ThreadedSession:
    """A session that works in threads, in one at a time.

    A task can be cancelled while its thread is at work, which no one can stop. What comes next, at least the
    close, waits for it: two threads on one connection would read each other's answers.
    """

    def __init__(self, session: Session, threads: CapacityLimiter) -> None:
        self._session = session
        self._threads = threads
        self._alone = threading.Lock()

    async def run_sync(
        self, function: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query function on the session, in a worker thread that has the caller's context variables."""

        def alone() -> T:
            with self._alone:
                return function(self._session, *args, **kwargs)

        return await to_thread.run_sync(alone, limiter=self._threads)


def _threaded(url: URL, settings: Settings, *, pooled: bool) -> Database:
    engine = create_engine(url, **_options(settings, pooled=pooled))
    # As many threads as there are requests. With a limit (AnyIO's is 40) those that wait for the pool could take
    # them all, and a request that holds a connection could not go on and give it back: the limit would decide
    # who waits, not the pool, and differently from the other drivers.
    threads = CapacityLimiter(math.inf)
    return ThreadedDatabase(engine, sessionmaker(engine, expire_on_commit=False), threads)


def _options(settings: Settings, *, pooled: bool) -> dict[str, object]:
    of_engine = {"echo": settings.db_echo, "connect_args": _connect_arguments(settings)}
    if not pooled:
        return {**of_engine, "poolclass": NullPool}
    return {
        **of_engine,
        "pool_size": settings.db_pool_size,
        "max_overflow": settings.db_max_overflow,
        "pool_timeout": settings.db_pool_timeout,
        "pool_pre_ping": settings.db_pool_pre_ping,
        # Annotated as int, compared with a difference of two time.time(): fractions of a second count.
        "pool_recycle": settings.db_pool_recycle,
        "pool_use_lifo": settings.db_pool_use_lifo,
    }


def _connect_arguments(settings: Settings) -> dict[str, object]:
    """What the driver takes when it connects, by its own names; what is not set is left to it."""
    asyncpg = settings.db_driver is Driver.ASYNCPG
    arguments: dict[str, object | None] = {
        "timeout" if asyncpg else "connect_timeout": settings.db_connect_timeout,
        "command_timeout": settings.db_command_timeout,
        "prepared_statement_cache_size": settings.db_prepared_statement_cache_size,
        "statement_cache_size": settings.db_statement_cache_size,
        "prepared_statement_name_func": _unique_name if settings.db_prepared_names is Names.UNIQUE else None,
        "prepare_threshold": settings.db_prepare_threshold,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    # psycopg's own word for "never" is None.
    given = {name: None if value == "none" else value for name, value in given.items()}
    return given if asyncpg else {**given, **silence.libpq_arguments(settings)}


def without_prepared_statements(settings: Settings) -> Settings:
    """The same settings, with no statement kept for later, and none under a name that another process gives."""
    match settings.db_driver:
        case Driver.ASYNCPG:
            asyncpg = {"db_prepared_statement_cache_size": 0, "db_statement_cache_size": 0}
            return settings.model_copy(update={**asyncpg, "db_prepared_names": Names.UNIQUE})
        case Driver.PSYCOPG:
            return settings.model_copy(update={"db_prepare_threshold": "none"})
        case Driver.PSYCOPG2:  # it prepares nothing
            return settings


def _unique_name() -> str:
    """A name for a prepared statement that no other process will ever give one."""
    return f"__asyncpg_{uuid4()}__"
