"""The engine settings to copy are those of the arm, for the engine that its driver has."""

from __future__ import annotations

import pytest

from brokenpipe.measure.recommend import engine_settings


@pytest.mark.parametrize(
    ("driver", "made_by"),
    [
        ("psycopg2", "create_engine("),
        ("psycopg", "create_async_engine("),
        ("asyncpg", "create_async_engine("),
    ],
)
def test_a_driver_in_threads_has_no_asynchronous_engine(driver: str, made_by: str) -> None:
    """SQLAlchemy refuses create_async_engine with psycopg2: what is offered for copying must run."""
    lines = engine_settings({"DB_DRIVER": driver, "DB_POOL_PRE_PING": "true"}).splitlines()
    assert lines == [made_by, "    DATABASE_URL,", "    pool_pre_ping=True,", ")"]
