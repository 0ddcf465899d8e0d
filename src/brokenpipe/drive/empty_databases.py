"""Databases without any table when their services are ready: most services would fail each request there."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from brokenpipe.formatting import listed
from brokenpipe.stack.postgres.bounded_connection import connect_bounded
from brokenpipe.stack.stack import Stack

TIMEOUT_S = 5.0
_HAS_TABLE = (
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v') AND n.nspname !~ '^(pg_|information_schema$)')"
)


def describe_empty_databases(stack: Stack) -> str:
    """A sentence about arms whose database has no table; empty if each has one, or if that is not known."""
    empty = [arm.name for arm in stack.arms.values() if not _has_table(stack, arm.database)]
    remedy = "if the service needs one, `prepare` in its target.toml makes it"
    return f"the database of {listed(empty)} has no table: {remedy}" if empty else ""


def _has_table(stack: Stack, database: str) -> bool:
    with (
        suppress(psycopg.Error),
        connect_bounded(stack.postgres.dsn(database), within_s=TIMEOUT_S) as connection,
    ):
        row = connection.execute(_HAS_TABLE).fetchone()
        return row is None or bool(row[0])
    return True
