"""A server that refuses us the databases of the arms."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from brokenpipe.errors import PostgresError
from brokenpipe.stack.postgres.server import Postgres


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("too many clients"), psycopg.errors.DuplicateObject("role")]
)
def test_a_database_that_cannot_be_created_is_named(
    error: psycopg.Error, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the stack that did not start, and no defect with a traceback."""

    def connect(*_: Any, **__: Any) -> None:
        raise error

    server = object.__new__(Postgres)
    monkeypatch.setattr(Postgres, "dsn", lambda _: "postgresql://nowhere")
    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(
        PostgresError, match=f"the database arm_plain could not be created: {error}"
    ) as refused:
        server.create_database("arm_plain")
    assert refused.value.remedy
