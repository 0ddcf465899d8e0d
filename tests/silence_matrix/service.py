"""`python -m tests.silence_matrix.service`: the agent's engines of one driver, in one process a pool for each cell.

Spoken to over its standard streams: it is told the cells as one line of JSON, says `ready` once each pool has a
connection, is told `begin` (queries that are to be under way begin) and `use` (idle connections are used), and says for
each request that ends how and when.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.silence_matrix.rows import SITUATIONS

from agent.database import Database, make_database
from agent.settings import load_settings

_IDLE, _MID_QUERY = SITUATIONS
_USED = "SELECT 1"
_LONG = "SELECT pg_sleep(1.5)"  # its answer comes while nothing gets through
_ATTEMPTS = 5
_voice = threading.Lock()


def say(**words: Any) -> None:
    with _voice:
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


def database_of(cell: dict[str, Any]) -> Database:
    """With the settings that a service would have, read as it reads them."""
    os.environ |= cell["env"]
    try:
        return make_database(load_settings())
    finally:
        for name in cell["env"]:
            del os.environ[name]


async def ask(database: Database, statement: str) -> None:
    """What a request does: borrow a connection, ask, give it back."""
    async with database.session() as session:
        await session.run_sync(lambda plain: _execute(plain, statement))


async def warm(database: Database) -> None:
    """Fill its pool, however often a limit of its settings cuts that short."""
    for _ in range(_ATTEMPTS):
        with suppress(Exception):
            return await ask(database, _USED)
    return await ask(database, _USED)


def _execute(session: Session, statement: str) -> None:
    session.execute(text(statement))


async def play(cell: dict[str, Any], database: Database, begin: asyncio.Event, use: asyncio.Event) -> None:
    idle = cell["situation"] == _IDLE
    await (use if idle else begin).wait()
    limit = asyncio.timeout(cell["within_s"]) if cell["within_s"] else nullcontext()
    error = "answered"
    try:
        async with limit:
            await ask(database, _USED if idle else _LONG)
    except Exception as failed:  # noqa: BLE001
        error = _called(failed)
    say(id=cell["id"], t=time.monotonic_ns(), error=error)


def _called(error: BaseException) -> str:
    """The exception that a service would have to catch, and what the kernel said, if anything of that is left."""
    name = type(error).__name__
    kernel = any(
        getattr(link, "errno", None) == 110 or "connection timed out" in str(link).lower()
        for link in _chain(error)
    )
    return f"{name}, ETIMEDOUT" if kernel else name


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def main() -> None:
    loop, lines = asyncio.get_running_loop(), sys.stdin
    cells = json.loads(lines.readline())
    begin, use = asyncio.Event(), asyncio.Event()
    databases = [database_of(cell) for cell in cells]
    for database in databases:  # all at once, a busy machine would not keep the connect timeout of some
        await warm(database)
    plays = [
        asyncio.create_task(play(cell, database, begin, use))
        for cell, database in zip(cells, databases, strict=True)
    ]
    say(said="ready")
    for event, word in ((begin, "begin"), (use, "use")):
        told = await loop.run_in_executor(None, lines.readline)
        assert told.strip() == word
        event.set()
    await asyncio.gather(*plays)


if __name__ == "__main__":
    asyncio.run(main())
