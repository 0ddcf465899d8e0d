"""What operators ask: is the service up, and how is its pool?"""

import os
from typing import cast

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import QueuePool

from agent.dependencies import DatabaseDep, SettingsDep
from agent.settings import Settings

router = APIRouter()


class PoolOut(BaseModel):
    """The pool of one worker process, in connections, and the settings it was made with.

    `size` is how many it keeps, `overflow` how many are open beyond that.
    """

    pid: int
    size: int
    checked_in: int
    checked_out: int
    overflow: int
    settings: Settings


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Up: the tables exist and requests are served. It asks the database nothing and takes no connection."""
    return {"status": "ok"}


@router.get("/pool", response_model_exclude={"settings": {"database_url"}})
async def pool_status(database: DatabaseDep, settings: SettingsDep) -> PoolOut:
    """The pool's numbers, at no cost to the pool."""
    pool = cast("QueuePool", database.pool)
    return PoolOut(
        pid=os.getpid(),
        size=pool.size(),
        checked_in=pool.checkedin(),
        checked_out=pool.checkedout(),
        # SQLAlchemy counts from minus the size upwards as the pool fills.
        overflow=max(0, pool.overflow()),
        settings=settings,
    )
