"""The application: what lives as long as the process, and the routes."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from agent import chat, conversations, memories, operations, tools
from agent.database import make_database, without_prepared_statements
from agent.llm import SimulatedLLM
from agent.schema import prepare
from agent.settings import Settings, SettingsError, load_settings

CANNOT_START = 3
"""Uvicorn's own exit code for it: its supervisor of several workers gives up then and does not try again."""


def create_app() -> FastAPI:
    """Make the application from the environment. Wrong settings end the process and are named on stderr."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"agent: {error}\n")
        sys.exit(CANNOT_START)
    return _make_app(settings)


async def _make_schema(settings: Settings) -> None:
    """On a connection of its own, as migrations have, and with statements that no pooler in between can mix up."""
    own = make_database(without_prepared_statements(settings), pooled=False)
    try:
        await own.transact(prepare)
    finally:
        await own.dispose()


def _make_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await _make_schema(settings)
        database = make_database(settings)
        try:
            app.state.settings = settings
            app.state.database = database
            app.state.llm = SimulatedLLM(settings.agent_llm_ms)
            yield
        finally:
            await database.dispose()

    app = FastAPI(title="agent", lifespan=lifespan)
    for part in (chat, conversations, memories, operations, tools):
        app.include_router(part.router)
    return app
