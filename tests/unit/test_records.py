"""A record is declared once: its table, its fast line and what others write follow that declaration."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Iterator
from itertools import product
from typing import Any, ClassVar

import pytest

import brokenpipe.history
from brokenpipe.history import records
from brokenpipe.history.fast_lines import line_maker, rest_maker
from brokenpipe.history.records.base import Record
from brokenpipe.history.schema.columns import columns_of
from brokenpipe.history.schema.tables import RECORDS, TABLES, TIME_KEYS


def declared() -> Iterator[type[Record]]:
    """Every record of every module below brokenpipe.history."""
    for found in pkgutil.walk_packages(brokenpipe.history.__path__, "brokenpipe.history."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Record) and value is not Record:
                yield value


def test_every_record_has_a_table() -> None:
    """A kind of line that is declared and not in the list of tables would be written and never read."""
    assert {record.__qualname__ for record in declared()} == {record.__qualname__ for record in RECORDS}
    assert len({record.TABLE for record in RECORDS}) == len(RECORDS)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_has_a_column(record: type[Record]) -> None:
    """The table of a record has its fields, in their order, and no other column."""
    table = next(table for table in TABLES if table.name == record.TABLE)
    assert list(table.columns) == [field.name for field in dataclasses.fields(record)]
    assert (table.kind, table.files) == (record.KIND, record.FILES)


def test_a_field_that_no_column_can_hold_is_refused() -> None:
    """A declaration is an error at once, and not a line that comes back as something else."""

    @dataclasses.dataclass(frozen=True)
    class Odd(Record):
        KIND: ClassVar[str] = "odd"
        what: set[str]

    with pytest.raises(TypeError, match="no column"):
        columns_of(Odd)


def test_every_time_moves_with_its_clock() -> None:
    """What is declared as a time is moved where a worker's clock differs or a run was resumed, in nested values too."""
    assert {"t", "t0", "t1", "strike", "left_t", "began", "handed", "since"} <= TIME_KEYS
    assert not {"wall_ns", "boot_ns", "offset_ns", "rss_bytes"} & TIME_KEYS


# --- lines made fast ----------------------------------------------------------------------------------

ODD = 'say "no"\n ü'
MADE_FAST: dict[type[Record], dict[str, Any]] = {
    records.Clock: {"t": 1, "wall_ns": 2, "pid": 3, "writer": ODD, "format": records.FORMAT},
    records.RequestStart: {"t": 1, "arm": "plain", "id": ODD, "name": ODD, "key": None},
    records.LoopLag: {"t": 1, "ms": 2.125},
    records.ArrivalLate: {"t": 1, "arm": "plain", "id": ODD, "ms": 0.1},
    records.ArrivalMissed: {"t": -1, "arm": "plain"},
}


def as_written(record: Record) -> str:
    return json.dumps(record.to_json(), separators=(",", ":")) + "\n"


@pytest.mark.parametrize("kind", MADE_FAST, ids=lambda kind: kind.__name__)
def test_a_line_made_fast_is_the_line_of_the_record(kind: type[Record]) -> None:
    """To the byte, odd characters included."""
    values = MADE_FAST[kind]
    assert line_maker(kind)(*values.values()) == as_written(kind(**values))


@pytest.mark.parametrize("more", list(product((None, ODD), (None, True), (None, "status"), (None, ODD))))
def test_an_end_made_fast_leaves_out_what_is_not_the_case(more: tuple[Any, ...]) -> None:
    """Every combination of what an end may have besides."""
    given = dict(zip(("key", "begun", "failure", "error"), more, strict=True))
    first = (10**13, "plain", ODD, "User-1", 12.125, 200)
    line = line_maker(records.RequestEnd)(*first, rest_maker(records.RequestEnd)(**given))
    assert line == as_written(records.RequestEnd(*first, **given))


def test_a_time_is_written_to_a_microsecond() -> None:
    """More digits of an end's duration would be noise in millions of lines."""
    assert '"ms":0.123,' in line_maker(records.RequestEnd)(1, "plain", "x", "y", 0.12349, 200)


# --- reading a line back ------------------------------------------------------------------------------


def test_a_record_is_made_of_its_line() -> None:
    """Keys that a later version adds are left out; a line without a key that it must have is none."""
    end = records.RequestEnd(1, "plain", "GET /", "User-1", 2.5, 200)
    assert records.RequestEnd.from_json(end.to_json() | {"later": 1}) == end
    with pytest.raises(TypeError):
        records.RequestEnd.from_json({"k": "end", "t0": 1})
