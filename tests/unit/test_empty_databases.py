"""Databases without a table are named before the first phase; what is not known is not said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from brokenpipe.drive import empty_databases


def stack(**tables: bool | None) -> Any:
    """A stack whose arms have a table in their database, or none; None: the server does not answer."""
    arms = {arm: SimpleNamespace(name=arm, database=arm) for arm in tables}
    return SimpleNamespace(postgres=SimpleNamespace(dsn=lambda database: database), arms=arms)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"plain": True, "pre_ping": True}, ""),
        ({"plain": False, "pre_ping": False}, "the database of plain and pre_ping has no table"),
        ({"plain": None, "pre_ping": True}, ""),
    ],
)
def test_an_empty_database_is_named(
    tables: dict[str, bool | None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key that makes tables."""

    @contextmanager
    def connect(database: str, *, within_s: float) -> Iterator[Any]:
        if tables[database] is None:
            raise psycopg.OperationalError
        yield SimpleNamespace(execute=lambda _: SimpleNamespace(fetchone=lambda: (tables[database],)))

    monkeypatch.setattr(empty_databases, "connect_bounded", connect)
    found = empty_databases.describe_empty_databases(stack(**tables))
    assert found.partition(":")[0] == said
    assert ("`prepare` in its target.toml" in found) == bool(said)
