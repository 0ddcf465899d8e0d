"""What is left out of reading because no line has it, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import duckdb
import pytest

from brokenpipe.history import occurring_kinds as module
from brokenpipe.history.occurring_kinds import empty_tables_sql, occurring_kinds
from brokenpipe.history.schema.tables import TABLES

CLOCK = '{"k":"clock","t":1}\n'
END = '{"k":"end","t0":1}\n'
REQUESTS = [table for table in TABLES if table.kind in {"clock", "start", "end", "late"}]


def _found(folder: Path, text: str) -> set[str]:
    path = folder / "requests.ndjson"
    path.write_text(text)
    return {table.kind for table in occurring_kinds(REQUESTS, [path])}


def test_kinds_that_stand_nowhere_are_left_out(tmp_path: Path) -> None:
    """By their names; clocks stand in every file, and damage is no reason to look for fewer."""
    assert _found(tmp_path, CLOCK + END) == {"clock", "end"}
    assert _found(tmp_path, CLOCK + '{ "t0": 1, "k" : "late" }\n') == {"clock", "late"}
    assert _found(tmp_path, '{"k":"sta') == {"clock"}


def test_a_name_in_escapes_could_be_any(tmp_path: Path) -> None:
    """JSON allows it; then all kinds are looked for."""
    assert _found(tmp_path, CLOCK + '{"k":"\\u0065nd","t0":1}\n') == {"clock", "start", "end", "late"}


def test_a_large_file_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, planning is nothing beside reading."""
    monkeypatch.setattr(module, "SMALL_BYTES", 10)
    assert _found(tmp_path, CLOCK) == {"clock", "start", "end", "late"}


@pytest.mark.parametrize("kept", ["TABLE", "VIEW"])
def test_tables_without_lines_have_their_columns(kept: Literal["TABLE", "VIEW"]) -> None:
    """Each with its types, and no row; the witness's with their arm."""
    with duckdb.connect() as connection:
        connection.execute(empty_tables_sql(TABLES, kept))
        for table in TABLES:
            found = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {table.name}").fetchall()}
            own = {"witness_arm": "VARCHAR"} if table.from_witness else {}
            own |= {"id_hash": "UBIGINT"} if table.plain else {}
            assert set(found) == {*table.columns, *own}
            assert own.items() <= found.items()
            assert connection.execute(f"SELECT count(*) FROM {table.name}").fetchall() == [(0,)]
