"""A service that selects a one through SQLAlchemy and asyncpg, and does nothing else: the witness's worst case."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

ENGINE = create_async_engine(os.environ["DSN"])
ONE = text("SELECT 1")


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],  # noqa: ARG001
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """A select, then 200."""
    if scope["type"] != "http":
        return
    async with ENGINE.connect() as connection:
        await connection.execute(ONE)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
