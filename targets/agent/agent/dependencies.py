"""What a request is given: a session of its own, and what the application holds for all of them."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Header, Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from agent.llm import SimulatedLLM
from agent.settings import Settings


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One session for one request: it borrows a connection at its first query, until a commit or its close.

    FastAPI closes it after the response was sent, so a streamed response has it until the last chunk.
    """
    sessions = cast("async_sessionmaker[AsyncSession]", request.app.state.sessions)
    async with sessions() as session:
        yield session


async def get_settings(request: Request) -> Settings:
    """The settings that the application was started with."""
    return cast("Settings", request.app.state.settings)


async def get_engine(request: Request) -> AsyncEngine:
    """The engine, for its pool's numbers; queries go through a session."""
    return cast("AsyncEngine", request.app.state.engine)


async def get_llm(request: Request) -> SimulatedLLM:
    """The language model."""
    return cast("SimulatedLLM", request.app.state.llm)


SessionDep = Annotated[AsyncSession, Depends(get_session)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
EngineDep = Annotated[AsyncEngine, Depends(get_engine)]
LLMDep = Annotated[SimulatedLLM, Depends(get_llm)]
RequestId = Annotated[str | None, Header(alias="X-Request-ID", max_length=200)]
