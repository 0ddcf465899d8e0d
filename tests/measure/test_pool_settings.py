"""Settings that are ready to copy: the constructor that the service called, with what it gave it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.pool_settings import PoolSettings
from brokenpipe.report.run.pool_settings import python_source, settings_text

REST = "    # and what else you give it: not recorded"
DJANGO = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
SOURCES = [
    (
        PoolSettings("sqlalchemy", "create_async_engine", {"pool_size": 10, "pool_pre_ping": True}),
        [
            "create_async_engine(",
            "    DATABASE_URL,",
            "    pool_size=10,",
            "    pool_pre_ping=True,",
            REST,
            ")",
        ],
    ),
    (
        PoolSettings("asyncpg", "asyncpg.create_pool", {"max_inactive_connection_lifetime": 300.0}),
        ["asyncpg.create_pool(", "    DATABASE_URL,", "    max_inactive_connection_lifetime=300,", REST, ")"],
    ),
    (
        PoolSettings(
            "psycopg_pool",
            "AsyncConnectionPool",
            {"check": "AsyncConnectionPool.check_connection", "timeout": 0.5},
        ),
        [
            "AsyncConnectionPool(",
            "    DATABASE_URL,",
            "    check=AsyncConnectionPool.check_connection,",
            "    timeout=0.5,",
            REST,
            ")",
        ],
    ),
    (
        PoolSettings("psycopg2", "ThreadedConnectionPool", {"minconn": 1, "maxconn": 4}),
        ["ThreadedConnectionPool(", "    dsn=DATABASE_URL,", "    minconn=1,", "    maxconn=4,", REST, ")"],
    ),
    (
        PoolSettings("django", "DATABASES", {**DJANGO, "pool": {"max_size": 4}}),
        [
            "DATABASES = {",
            '    "default": {',
            "        **DATABASE,",
            '        "CONN_MAX_AGE": 60,',
            '        "CONN_HEALTH_CHECKS": True,',
            '        "OPTIONS": {"pool": {"max_size": 4}},',
            "    },",
            "}",
        ],
    ),
]


@pytest.mark.parametrize(("settings", "lines"), SOURCES, ids=[settings.library for settings, _ in SOURCES])
def test_the_source_is_in_the_pools_own_words(settings: PoolSettings, lines: list[str]) -> None:
    """Python that can be compiled, with the arguments that this pool takes."""
    source = python_source(settings)
    assert source.splitlines() == lines
    compile(source, "<settings>", "exec")


@pytest.mark.parametrize(
    ("library", "given", "sized"),
    [
        ("sqlalchemy", {"pool_size": 2, "max_overflow": 8}, {"pool_size": 4, "max_overflow": 0}),
        ("psycopg_pool", {"min_size": 2, "max_size": 2}, {"min_size": 2, "max_size": 4}),
        ("asyncpg", {"min_size": 10, "max_size": 10}, {"min_size": 4, "max_size": 4}),
        ("psycopg2", {"minconn": 1, "maxconn": 9}, {"minconn": 1, "maxconn": 4}),
    ],
)
def test_another_size(library: str, given: dict[str, object], sized: dict[str, object]) -> None:
    """At most so many connections are open: of SQLAlchemy none beyond, and of others no more are kept."""
    changed = PoolSettings(library, "Pool", given).with_size(4)
    assert changed is not None
    assert changed.arguments == sized
    assert PoolSettings(library, "Pool", {"poolclass": "NullPool"}).with_size(4) is None


def test_each_arm_has_its_own(tmp_path: Path) -> None:
    """As its processes recorded them, each way once; what Django's pool is made of goes with Django's settings."""
    with Recorded(tmp_path / "run", scenario(STEADY, arms=("engine", "django", "unseen"))) as run:
        run.phase("steady", [(0.0, 2.0, None)])
        made = {"k": "pool_settings", "t": run.at(0.1)}
        of_migrations = {"poolclass": "NullPool"}
        run.witness(
            "engine", **made, library="sqlalchemy", constructor="create_engine", arguments=of_migrations
        )
        for _ in range(2):
            run.witness(
                "engine",
                **made,
                library="sqlalchemy",
                constructor="create_engine",
                arguments={"pool_size": 3},
            )
        run.witness(
            "django", **made, library="psycopg_pool", constructor="ConnectionPool", arguments={"max_size": 4}
        )
        run.witness(
            "django", **made, library="django", constructor="DATABASES", arguments={"pool": {"max_size": 4}}
        )
        run.finish()
    found = run.measured()
    assert settings_text(found, "engine") == f"create_engine(\n    DATABASE_URL,\n    pool_size=3,\n{REST}\n)"
    assert "ConnectionPool" not in settings_text(found, "django")
    assert '"OPTIONS": {"pool": {"max_size": 4}}' in settings_text(found, "django")
    assert "(" not in settings_text(found, "unseen")  # its variables, and no guess at a constructor
