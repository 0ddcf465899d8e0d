"""A finished, or cut off, experiment as tables: one for each kind of line.

    files of one writer ──one pass──▶ one wide table ──▶ a view for each kind of line in it

Every file is parsed once, whatever is asked of it later. Nearly all lines of a large history are plain successes: those
have few columns, and what other lines of their files say lies together in one more, because a column costs as much
where it is empty. What does not fit into memory lies in a temporary database on disk, which is gone when reading is
over. A torn last line is dropped; other lines that cannot be read are counted in the table `unreadable`. Tables of the
witness's files carry the arm, which is part of the file's name.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import duckdb
import psutil

from brokenpipe.error_class import ErrorClass
from brokenpipe.errors import ReportError
from brokenpipe.faults import Fault, fault_kinds
from brokenpipe.files import UnfitFile, describe_missing_file, describe_missing_folder
from brokenpipe.history.format import has_fault_texts
from brokenpipe.history.occurring_kinds import empty_tables_sql, occurring_kinds
from brokenpipe.history.plausible import arms_in, history_begin_ns, plausibility_sql, shaped_column_sql
from brokenpipe.history.records import EVERY_FILE
from brokenpipe.history.resume import merge_parts
from brokenpipe.history.schema.format_1 import read_as_format_2
from brokenpipe.history.schema.table import RecordTable
from brokenpipe.history.schema.tables import TABLES
from brokenpipe.history.schema.views import VIEWS
from brokenpipe.history.worker_clocks import correct_worker_clocks
from brokenpipe.json_file import read_object
from brokenpipe.plain_text import shorten

Row = tuple[Any, ...]

# DuckDB's own share of the memory, 100 MB of it buffers for parsing; Python and what is measured need as much again.
MEMORY = "240MB"
SMALL_BYTES = 32_000_000  # what fits into that memory with all that is made of it
TINY_BYTES = 2_000_000  # up to here, planning a query better takes longer than carrying it out
WORTHWHILE = ("expression_rewriter", "filter_pushdown")  # optimizers, even then: a join stays a join
SCRATCH = "brokenpipe-reading-"  # and the pid, so that what a killed reader left can be told
OBJECT_BYTES = 16_777_216  # of one line at most
BATCH = 2048  # rows handed over at a time


@dataclass(frozen=True, slots=True)
class History:
    """An open history. `sql` runs one statement; `rows` gives what a query answers."""

    folder: Path
    connection: duckdb.DuckDBPyConnection

    def sql(self, statement: str) -> None:
        """Carry out a statement that answers nothing, such as making a view."""
        self.connection.execute(statement)

    def rows(self, query: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Every row of the answer, held in memory; of a long one take `stream`."""
        answer: list[Row] = self.connection.execute(query, parameters).fetchall()
        return answer

    def stream(self, query: str) -> Iterator[Row]:
        """The same, a few at a time: for answers that may be long."""
        cursor = self.connection.cursor().execute(query)
        while batch := cursor.fetchmany(BATCH):
            yield from batch

    def one(self, query: str, parameters: tuple[object, ...] = ()) -> Row:
        """The first row of an answer that has one whatever the history holds: that of an aggregate."""
        return self.rows(query, parameters)[0]

    def document(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder. Raises ReportError."""
        return document(self.folder, name)


def document(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a report folder, for which no history has to be opened. Raises ReportError."""
    path = folder / name
    try:
        return read_object(path)
    except UnfitFile as error:
        raise ReportError(f"{path}: {error}", remedy=REMEDY) from error


REMEDY = (
    "Give a folder that `brokenpipe run` made, as it made it: reports/<scenario>/<time>, or its `latest`."
)


def require_folder(folder: Path) -> None:
    """Raises ReportError if there is no folder at that path."""
    if why := describe_missing_folder(folder):
        raise ReportError(f"{shorten(str(folder), 300)}: {why}", remedy=REMEDY)


def require_report_folder(folder: Path) -> None:
    """Raises ReportError if there is no folder at that path, no history in it, or something there that is no file."""
    require_folder(folder)
    if not (folder / "experiment.ndjson").exists():
        raise ReportError(
            f"{folder}: no experiment.ndjson here, so this is not a report folder", remedy=REMEDY
        )
    for path in sorted(folder.glob(EVERY_FILE)):
        if why := describe_missing_file(path):
            raise ReportError(f"{path}: {why}", remedy=REMEDY)


@contextmanager
def open_history(folder: Path) -> Iterator[History]:
    """The history in a report folder. Raises ReportError if there is none, or no room, or it has a later format."""
    require_report_folder(folder)
    fault_texts = has_fault_texts(sorted(folder.glob(EVERY_FILE)))
    with _database(folder) as connection:
        with correct_worker_clocks(sorted(folder.glob(EVERY_FILE))) as ours, merge_parts(ours) as files:
            kept: Literal["VIEW", "TABLE"] = "VIEW" if _is_large(folder) else "TABLE"
            _load(connection, folder, files, kept=kept)
            if fault_texts:
                read_as_format_2(connection, folder, kept)
            _create_views(connection, kept)
        yield History(folder, connection)


@contextmanager
def _database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database: in memory for a small history, else in a temporary folder.

    Threads and memory are bounded: a report is often made beside a running experiment. A small history takes one
    thread: handing its few rows to a second one costs more than it saves.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": MEMORY,
        "preserve_insertion_order": False,
        "temp_directory": "",
    }
    database = ":memory:"
    try:
        with ExitStack() as open_until_read:
            if _is_large(folder):
                _remove_stale_scratch()
                settings["threads"] = 2
                scratch = Path(
                    open_until_read.enter_context(TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-"))
                )
                settings["temp_directory"] = str(scratch / "spilled")
                database = str(scratch / "history.duckdb")
            connection = open_until_read.enter_context(duckdb.connect(database, config=settings))
            if _size_bytes(folder) < TINY_BYTES:
                _plan_quickly(connection)
            yield connection
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise ReportError(
            f"{folder}: the history cannot be read: {error}",
            remedy=f"It takes {MEMORY} of memory; a large one takes room in {tempfile.gettempdir()} as well: "
            "make some, or name another place in TMPDIR.",
        ) from error


def _is_large(folder: Path) -> bool:
    return _size_bytes(folder) >= SMALL_BYTES


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(EVERY_FILE))


def _plan_quickly(connection: duckdb.DuckDBPyConnection) -> None:
    names = [name for (name,) in connection.execute("SELECT name FROM duckdb_optimizers()").fetchall()]
    others = ",".join(name for name in names if name not in WORTHWHILE)
    connection.execute(f"SET disabled_optimizers = '{others}'")


def _remove_stale_scratch() -> None:
    """Remove what readers left that were killed. Nothing else leaves anything."""
    for left in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        pid = left.name.removeprefix(SCRATCH).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _load(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    paths: Sequence[Path],
    *,
    kept: Literal["VIEW", "TABLE"],
) -> None:
    """A table for each group of files, and for each kind of line, as a view or a table.

    A view takes no room. A table is planned once, where each of some hundred queries would plan the view anew.
    """
    sources: dict[str, list[str]] = {table.name: [] for table in TABLES}
    connection.execute("CREATE TABLE unreadable (files VARCHAR, lines BIGINT)")
    begin, arms = history_begin_ns(paths), arms_in(folder)
    for n, (possible, files) in enumerate(_groups(paths)):
        if not any(path.stat().st_size for path in files):
            continue
        tables = occurring_kinds(possible, files)
        columns = _columns(tables)
        lines = _parsed(columns, tables, files, plausibility_sql(tables, columns, begin, arms))
        plain = next((table for table in tables if table.plain), None)
        if plain:
            connection.execute(f"CREATE TABLE packed_{n} AS {_packed_columns(plain, columns, lines)}")
            lines = f"SELECT unnest(other[1]) FROM packed_{n} WHERE other IS NOT NULL"
        connection.execute(f"CREATE TABLE lines_{n} AS {lines}")
        connection.execute(
            f"INSERT INTO unreadable SELECT ?, lost FROM (SELECT count(*) - ? AS lost FROM lines_{n} WHERE k IS NULL) "
            "WHERE lost > 0",
            (possible[-1].files, sum(map(_is_torn, files))),
        )
        for table in tables:
            kind = f"k = {_quoted(table.kind)} AND {table.where}"
            here = f"packed_{n} WHERE other IS NULL" if table is plain else f"lines_{n} WHERE {kind}"
            sources[table.name].append(here)
    if empty := [table for table in TABLES if not sources[table.name]]:
        connection.execute(empty_tables_sql(empty, kept))
    for table in (table for table in TABLES if sources[table.name]):
        selected = [f"{_cast_sql(name, kind)} AS {name}" for name, kind in table.columns.items()]
        selected += ["witness_arm"] * table.from_witness + ["id_hash"] * table.plain
        parts = (f"SELECT {', '.join(selected)} FROM {source}" for source in sources[table.name])
        connection.execute(f"CREATE {kept} {table.name} AS {' UNION ALL '.join(parts)}")


def _cast_sql(name: str, kind: str) -> str:
    """A column as its type. What fits is known by now; but an object of before that lacks a key fits TRY_CAST alone."""
    return f"TRY_CAST({name} AS {kind})" if kind.startswith("STRUCT") else f"{name}::{kind}"


def _create_views(connection: duckdb.DuckDBPyConnection, kept: Literal["VIEW", "TABLE"]) -> None:
    """What is drawn from several tables."""
    _create_fault_kinds(connection)
    for name, query in VIEWS.items():
        connection.execute(f"CREATE {kept} {name} AS {query}")


def _create_fault_kinds(connection: duckdb.DuckDBPyConnection) -> None:
    """What the installed faults do, for statements that ask about acts: none of them names a fault."""
    rows = ", ".join(
        f"('{kind.fault_name()}', {kind.stops_server}, {_ends_sessions(kind)})" for kind in fault_kinds()
    )
    connection.execute(
        f"CREATE TABLE fault_kinds AS FROM (VALUES {rows}) t(name, stops_server, ends_sessions)"
    )


def _ends_sessions(kind: type[Fault]) -> bool:
    """Whether Postgres counts sessions as killed by it."""
    return kind.place == "server" and ErrorClass.SERVER_SHUTDOWN in kind.can_cause


def _groups(paths: Sequence[Path]) -> Iterator[tuple[list[RecordTable], list[Path]]]:
    """The files of each writer with the kinds of line that stand in them; last, files of an unknown writer."""
    everywhere = [table for table in TABLES if table.files == EVERY_FILE]
    rest = set(paths)
    for pattern in dict.fromkeys(table.files for table in TABLES if table.files != EVERY_FILE):
        files = {path for path in rest if fnmatchcase(path.name, pattern)}
        rest -= files
        yield [*everywhere, *(table for table in TABLES if table.files == pattern)], sorted(files)
    yield everywhere, sorted(rest)


def _is_torn(path: Path) -> bool:
    """Whether the last line of a file was cut off, by a kill or because it is being written: that is no damage."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 1))
        if file.read() in (b"", b"\n"):
            return False
        file.seek(max(0, size - OBJECT_BYTES))
        last = file.read().rpartition(b"\n")[2]
    try:
        return "k" not in json.loads(last)
    except (ValueError, TypeError):
        return True


def _columns(tables: Sequence[RecordTable]) -> dict[str, str]:
    """Those of all kinds of line in the same files, with their types."""
    columns = {"k": "VARCHAR"}
    for table in tables:
        for name, kind in table.columns.items():
            # Where another kind of line has a column of that name and another type, its view casts.
            columns[name] = kind if columns.get(name, kind) == kind else "JSON"
    return columns


def _parsed(
    columns: dict[str, str], tables: Sequence[RecordTable], files: Sequence[Path], condition: str
) -> str:
    """All lines of some files. `k` is NULL in those that cannot be read."""
    witnesses = any(table.from_witness for table in tables)
    full = [str(path) for path in files if path.stat().st_size]
    arm = (
        r", regexp_extract(filename, 'witness-([^/]*)-\d+(\.r\d+)?\.ndjson$', 1) AS witness_arm"
        if witnesses
        else ""
    )
    kind_of_line = f"CASE WHEN {condition} THEN k END AS k"
    values = ", ".join(shaped_column_sql(name, kind) for name, kind in columns.items() if name != "k")
    return (
        f"SELECT {kind_of_line}, {values}{arm} FROM read_json({_literal(full)}, "
        f"format = 'newline_delimited', columns = {_literal(columns)}, ignore_errors = true, "
        f"filename = {str(witnesses).lower()}, maximum_object_size = {OBJECT_BYTES})"
    )


def _packed_columns(plain: RecordTable, columns: Iterable[str], lines: str) -> str:
    """The columns of plain lines; all columns of the others together in one, which is NULL nearly everywhere."""
    other = ", ".join(f"{_quoted(name)}: {name}" for name in columns)
    is_plain = f"k = {_quoted(plain.kind)} AND {plain.where}"
    return (
        f"SELECT {', '.join(plain.columns)}, hash(id) AS id_hash, "
        f"CASE WHEN ({is_plain}) IS NOT TRUE THEN [{{{other}}}] END AS other FROM ({lines})"
    )


def _literal(value: list[str] | dict[str, str]) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_quoted(kind)}" for key, kind in value.items()) + "}"
    return "[" + ", ".join(map(_quoted, value)) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
