"""What is recommended: only what is more than chance, and in settings that run as they are."""

from __future__ import annotations

import pytest
from tests.unit.recorded import STEADY, scenario

from brokenpipe.measure.judgement import Best, Verdict
from brokenpipe.measure.recommend import engine_settings, sentence


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


@pytest.mark.parametrize(
    ("beyond_chance", "says"),
    [
        (True, "pre_ping prevents 80 % of the broken requests that users of plain see (1 instead of 5)."),
        (
            False,
            "Chance alone may be why pre_ping broke 1 request where plain broke 5: more episodes would tell.",
        ),
    ],
)
def test_what_may_be_chance_is_no_recommendation(beyond_chance: bool, says: str) -> None:
    """Four requests fewer are a finding only if the episodes agree about it."""
    best = Best("pre_ping", "plain", 5, 1, 0.8, beyond_chance, None, "")
    assert sentence(best, scenario(STEADY), {}, Verdict.PASS).replace("\u202f", " ") == says
