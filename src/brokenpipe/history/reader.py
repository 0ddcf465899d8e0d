"""A finished, or cut off, experiment as tables: one DuckDB view for each kind of line.

Files are streamed, never held whole. A torn last line is dropped. Views over the witness's files carry the
arm, which is part of the file's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from brokenpipe.errors import ReportError
from brokenpipe.history.tables import TABLES, Table

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class History:
    """An open history. `sql` runs one statement; `rows` gives what a query answers."""

    folder: Path
    connection: duckdb.DuckDBPyConnection

    def sql(self, statement: str) -> None:
        self.connection.execute(statement)

    def rows(self, query: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        answer: list[Row] = self.connection.execute(query, parameters).fetchall()
        return answer

    def one(self, query: str, parameters: tuple[object, ...] = ()) -> Row:
        return self.rows(query, parameters)[0]

    def document(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder. Raises ReportError."""
        path = self.folder / name
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ReportError(f"{path}: cannot be read: {error.strerror}", remedy=_REMEDY) from error
        except ValueError as error:
            raise ReportError(f"{path}: is not JSON: {error}", remedy=_REMEDY) from error
        return content


_REMEDY = "Give a folder that `brokenpipe run` made: reports/<scenario>/<time>, or its `latest`."


@contextmanager
def reading(folder: Path) -> Iterator[History]:
    """The history in a report folder. Raises ReportError if there is none."""
    if not (folder / "experiment.ndjson").is_file():
        raise ReportError(
            f"{folder}: no experiment.ndjson here, so this is not a report folder", remedy=_REMEDY
        )
    with duckdb.connect(":memory:") as connection:
        # Threads and memory are bounded: a report is often made beside a running experiment.
        connection.execute(
            "SET threads = 2; SET memory_limit = '400MB'; SET preserve_insertion_order = false"
        )
        for table in TABLES:
            connection.execute(f"CREATE VIEW {table.name} AS {_select(table, folder)}")
        yield History(folder, connection)


def _select(table: Table, folder: Path) -> str:
    from_witness = table.files.startswith("witness")
    files = sorted(str(path) for path in folder.glob(table.files) if path.stat().st_size)
    columns = {"k": "VARCHAR", **table.columns}
    if not files:
        empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in table.columns.items())
        arm = ", NULL::VARCHAR AS witness_arm" if from_witness else ""
        return f"SELECT {empty}{arm} WHERE false"
    arm = (
        r", regexp_extract(filename, 'witness-([^/]*)-\d+\.ndjson$', 1) AS witness_arm"
        if from_witness
        else ""
    )
    return (
        f"SELECT {', '.join(table.columns)}{arm} FROM read_json({_literal(files)}, "
        f"format = 'newline_delimited', columns = {_literal(columns)}, ignore_errors = true, "
        f"filename = {str(from_witness).lower()}, maximum_object_size = 16777216) WHERE k = '{table.kind}'"
    )


def _literal(value: list[str] | dict[str, str]) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_quoted(kind)}" for key, kind in value.items()) + "}"
    return "[" + ", ".join(map(_quoted, value)) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
