"""The engine with its connection pool, and the sessions that borrow from it."""

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from agent.settings import Settings


def make_engine(settings: Settings) -> AsyncEngine:
    """Make the engine. It opens no connection; whoever makes it must dispose of it."""
    url = make_url(settings.database_url.get_secret_value())
    return create_async_engine(
        url.set(drivername=f"postgresql+{settings.db_driver}"),
        echo=settings.db_echo,
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout=settings.db_pool_timeout,
        pool_pre_ping=settings.db_pool_pre_ping,
        # Annotated as int, compared with a difference of two time.time(): fractions of a second count.
        pool_recycle=settings.db_pool_recycle,
        pool_use_lifo=settings.db_pool_use_lifo,
    )


def make_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Make the factory of sessions. What was loaded stays readable after a commit, without another query."""
    return async_sessionmaker(engine, expire_on_commit=False)
