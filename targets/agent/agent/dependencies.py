"""What a request is given: a session of its own, and what the application holds for all of them."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Header, Request

from agent.database import Database, RequestSession
from agent.llm import SimulatedLLM
from agent.settings import Settings


async def get_database(request: Request) -> Database:
    """The pool, for its numbers; queries go through a session."""
    return cast("Database", request.app.state.database)


async def get_session(request: Request) -> AsyncIterator[RequestSession]:
    """One session for one request.

    FastAPI closes it after the response was sent, so a streamed response has it until the last chunk.
    """
    database = await get_database(request)
    async with database.session() as session:
        yield session


async def get_settings(request: Request) -> Settings:
    """The settings that the application was started with."""
    return cast("Settings", request.app.state.settings)


async def get_llm(request: Request) -> SimulatedLLM:
    """The language model."""
    return cast("SimulatedLLM", request.app.state.llm)


SessionDep = Annotated[RequestSession, Depends(get_session)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
DatabaseDep = Annotated[Database, Depends(get_database)]
LLMDep = Annotated[SimulatedLLM, Depends(get_llm)]
RequestId = Annotated[str | None, Header(alias="X-Request-ID", max_length=200)]
