"""A service that selects a one through SQLAlchemy and asyncpg, and does nothing else: the witness's worst case."""

from __future__ import annotations

import os
import time
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
    """`/used`: processor seconds of this process so far. Anything else: a select, then 200."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/used":
        body = repr(time.process_time()).encode()
    else:
        async with ENGINE.connect() as connection:
            await connection.execute(ONE)
        body = b"ok"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
