"""What a line of a history must be to be read: its values there, of their type, and within what a run can record.

A history may come from anywhere and be damaged in any way. What reads the tables relies on this: a time lies within
weeks of the run's begin, a number is finite, an error of the witness has a place and a chain. A line that is otherwise
counts as unreadable, which makes a verdict unknown, and is in no table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from brokenpipe.files import UnfitFile
from brokenpipe.history.schema.columns import json_types, required_fields
from brokenpipe.history.schema.table import RecordTable
from brokenpipe.history.schema.tables import RECORDS, TIME_KEYS
from brokenpipe.json_file import read_object

_DAY_NS = 86_400_000_000_000
_BEFORE_NS, _AFTER_NS = (
    _DAY_NS,
    31 * _DAY_NS,
)  # no run is longer than a week, and it may be cut off and resumed
_LONGEST_EPISODE_NS = 2 * _DAY_NS
_LATEST_WALL_NS = 4_000_000_000_000_000_000  # the year 2096
_HEAD_BYTES = 65_536

_RANGES: Mapping[str, tuple[float, float]] = {
    "BIGINT": (-(2**60), 2**60),
    "INTEGER": (-(10**9), 10**9),
    "DOUBLE": (-1e12, 1e12),  # NaN is above all of them
}
_OWN_RANGES: Mapping[str, tuple[float, float]] = {
    "wall_ns": (0, _LATEST_WALL_NS),
    "boot_ns": (0, _LATEST_WALL_NS),
    "n": (0, 10**7),
    "episode": (0, 10**7),
    "ms": (-1e9, 1e9),
}

_OF_AN_ARM = frozenset({"start", "end", "late", "missed", "episode", "postgres"})
_WORDS: Mapping[str, str] = {
    "phase": "edge IN ('begin', 'end')",
    "episode": f"t1 >= t0 AND t1 - t0 <= {_LONGEST_EPISODE_NS}",
    "act": "t1 >= t0",
    "end": "ms >= 0",
    "clock": "wall_ns >= 0",
}
_MAY_LACK = frozenset({("clock", "pid"), ("end", "status"), ("resumed", "command")})

# What stands in columns of JSON, as a type, and what must be there.
_JSON_TYPES = dict(pair for record in RECORDS for pair in json_types(record))
_NEEDED = {
    "errors": 'len([e FOR e IN {cast} IF e IS NULL OR e.t IS NULL OR e."where" IS NULL OR e.chain IS NULL]) = 0',
    "raised": "len([e FOR e IN {cast} IF e IS NULL]) = 0",
    "waiting": '{cast}.act IS NOT NULL OR {cast}."where" IS NOT NULL',
    "chain": "len([e FOR e IN {cast} IF e IS NULL]) = 0",
}


def history_begin_ns(files: Sequence[Path]) -> int:
    """When the history began, in monotonic nanoseconds: what the first clock of the harness says, else of anybody."""
    for path in sorted(files, key=lambda path: (not path.name.startswith("experiment"), path.name)):
        with path.open("rb") as file:
            head = file.readline(_HEAD_BYTES)
        try:
            time = json.loads(head).get("t")
        except (ValueError, AttributeError, RecursionError):
            continue
        if isinstance(time, int) and abs(time) < 2**60:
            return time
    return 0


def arms_in(folder: Path) -> tuple[str, ...]:
    """The arms of the plan, as far as it can be read: lines of any other are damaged. Empty: not known."""
    try:
        arms = read_object(folder / "plan.json")["scenario"]["arms"]
    except (UnfitFile, KeyError, TypeError):  # a plan that cannot be read is reported elsewhere
        return ()
    return tuple(str(arm) for arm in arms) if isinstance(arms, dict) else ()


def plausibility_sql(
    tables: Sequence[RecordTable], columns: Mapping[str, str], begin: int, arms: Sequence[str]
) -> str:
    """A condition in SQL: is the line, in these columns, one that can be read?"""
    conditions = [*_conditions(tables, columns, begin), *_of_known_arms(tables, arms)]
    return " AND ".join(f"coalesce({each}, false)" for each in conditions)


def _of_known_arms(tables: Sequence[RecordTable], arms: Sequence[str]) -> Iterator[str]:
    kinds = [f"'{table.kind}'" for table in tables if table.kind in _OF_AN_ARM]
    if arms and kinds:
        names = ", ".join("'" + arm.replace("'", "''") + "'" for arm in arms)
        yield f"(k NOT IN ({', '.join(kinds)}) OR arm IS NULL OR arm IN ({names}))"


def shaped_column_sql(name: str, kind: str) -> str:
    """The column in SQL: of JSON that has a shape, what fits that, which need not be looked at again."""
    if kind != "JSON" or name not in _JSON_TYPES:
        return name
    cast = f"to_json(TRY_CAST({name} AS {_JSON_TYPES[name]}))"
    return f"CASE WHEN {_is_present_sql(name)} THEN {cast} ELSE {name} END AS {name}"


def _conditions(tables: Sequence[RecordTable], columns: Mapping[str, str], begin: int) -> Iterator[str]:
    yield "k IS NOT NULL"
    for name, kind in columns.items():
        if kind in _RANGES:
            is_time = name in TIME_KEYS and kind == "BIGINT"
            around = (begin - _BEFORE_NS, begin + _AFTER_NS)
            low, high = around if is_time else _OWN_RANGES.get(name, _RANGES[kind])
            yield f"({name} IS NULL OR {name} BETWEEN {low} AND {high})"
        elif kind == "JSON" and name in _JSON_TYPES:
            yield _fits_sql(name)
    yield from _of_each_kind(tables, columns)


def _of_each_kind(tables: Sequence[RecordTable], columns: Mapping[str, str]) -> Iterator[str]:
    """What is required of a line of its kind, and that it can be cast where others have a column of that name."""
    for table in {table.kind: table for table in tables}.values():
        needed = [f"{name} IS NOT NULL" for name in _required(table) if name in table.columns]
        needed += [_WORDS[table.kind]] if table.kind in _WORDS else []
        needed += [
            f"({name} IS NULL OR json_type({name}) = 'NULL' OR TRY_CAST({name} AS {kind}) IS NOT NULL)"
            for name, kind in table.columns.items()
            if columns[name] == "JSON" and kind != "JSON"
        ]
        if needed:
            yield f"(k <> '{table.kind}' OR ({' AND '.join(needed)}))"


def _required(table: RecordTable) -> tuple[str, ...]:
    """The keys that every line of a kind has."""
    needed = required_fields(table.record)
    return tuple(name for name in needed if (table.kind, name) not in _MAY_LACK)


def _is_present_sql(name: str) -> str:
    return f"({name} IS NOT NULL AND json_type({name}) <> 'NULL')"


def _fits_sql(name: str) -> str:
    kind, needed = _JSON_TYPES[name], _NEEDED[name]
    cast = f"TRY_CAST({name} AS {kind})"
    return f"(NOT {_is_present_sql(name)} OR ({cast} IS NOT NULL AND ({needed.format(cast=cast)})))"
