"""Which kinds of line a history has, and tables for those that it has not.

Most histories have a third of all kinds. What is asked of the others is planned by the database all the same, and in a
small history planning takes longer than anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from brokenpipe.history.records import EVERY_FILE
from brokenpipe.history.schema.table import RecordTable

SMALL_BYTES = 2_000_000
_ESCAPE = b"\\u00"


def occurring_kinds(tables: Sequence[RecordTable], files: Sequence[Path]) -> list[RecordTable]:
    """The tables of kinds that may stand in these files: of large files all, of small ones those whose name does.

    A name that is written with escapes, as no writer does, could be any.
    """
    if sum(path.stat().st_size for path in files) >= SMALL_BYTES:
        return list(tables)
    text = b"".join(path.read_bytes() for path in files)
    if _ESCAPE in text:
        return list(tables)
    return [table for table in tables if table.files == EVERY_FILE or b'"%s"' % table.kind.encode() in text]


def empty_tables_sql(tables: Sequence[RecordTable], kept: Literal["VIEW", "TABLE"]) -> str:
    """Statements that make these tables, each a `kept`, without a row."""
    return ";".join(_empty_sql(table, kept) for table in tables)


def _empty_sql(table: RecordTable, kept: Literal["VIEW", "TABLE"]) -> str:
    columns = dict(table.columns)
    if table.from_witness:
        columns["witness_arm"] = "VARCHAR"
    if table.plain:
        columns["id_hash"] = "UBIGINT"
    if kept == "TABLE":
        return f"CREATE TABLE {table.name} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
    nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in columns.items())
    return f"CREATE VIEW {table.name} AS SELECT {nothing} WHERE false"
