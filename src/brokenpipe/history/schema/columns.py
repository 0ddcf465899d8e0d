"""The columns of a record, from its declaration."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from brokenpipe.history.records.base import Record, Stored

_TYPES: Mapping[Any, str] = {int: "BIGINT", float: "DOUBLE", str: "VARCHAR", bool: "BOOLEAN", object: "JSON"}


def columns_of(record: type[Record]) -> dict[str, str]:
    """Its fields in their order, with DuckDB's types."""
    return {name: column_type(hint) for name, hint in _hints(record).items()}


def required_fields(record: type[Record]) -> tuple[str, ...]:
    """The fields that every line of this kind has: without a default, and never None."""
    return tuple(
        name
        for name, hint in _hints(record).items()
        if NoneType not in get_args(hint) and not _has_default(record, name)
    )


def optional_fields(record: type[Record]) -> tuple[str, ...]:
    """The fields with a default."""
    return tuple(name for name in _hints(record) if _has_default(record, name))


def nullable_fields(record: type[Record]) -> frozenset[str]:
    """The fields that may be None."""
    return frozenset(name for name, hint in _hints(record).items() if NoneType in get_args(hint))


def digits_of(record: type[Record], name: str) -> int | None:
    """How many digits of a fraction are written in lines made fast; None: all."""
    stored = _stored(_without_none(_hints(record)[name]))
    return stored.digits if stored else None


def column_type(hint: Any) -> str:
    """DuckDB's type for a field. Raises TypeError if there is none."""
    inner = _without_none(hint)
    stored, origin, parts = _stored(inner), get_origin(inner), get_args(inner)
    if stored:
        return stored.column
    if origin is Literal:
        return "VARCHAR"
    if origin is Sequence:
        return f"{column_type(parts[0])}[]"
    if origin is Mapping:
        return "JSON" if parts[1] is object else f"MAP({column_type(parts[0])}, {column_type(parts[1])})"
    if is_dataclass(inner):
        fields = (f'"{name}" {column_type(part)}' for name, part in _hints(inner).items())
        return f"STRUCT({', '.join(fields)})"
    if inner not in _TYPES:
        raise TypeError(f"a history has no column of type {inner}")
    return _TYPES[inner]


def time_fields(declared: Any) -> Iterator[str]:
    """The names of its monotonic times, and of those in what it holds."""
    for name, hint in _hints(declared).items():
        inner = _without_none(hint)
        stored = _stored(inner)
        if stored and stored.is_time:
            yield name
        held = stored.holds if stored else inner
        for part in (held, *get_args(held)):
            if is_dataclass(part):
                yield from time_fields(part)


def json_types(record: type[Record]) -> Iterator[tuple[str, str]]:
    """Its fields of JSON with DuckDB's type for what they hold, where that is declared."""
    for name, hint in _hints(record).items():
        stored = _stored(_without_none(hint))
        if stored and stored.holds:
            yield name, column_type(stored.holds)


def _hints(declared: Any) -> Mapping[str, Any]:
    return _resolved(declared)


@lru_cache
def _resolved(declared: Hashable) -> Mapping[str, Any]:
    hints = get_type_hints(declared, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


def _has_default(record: type[Record], name: str) -> bool:
    return record.__dataclass_fields__[name].default is not MISSING


def _without_none(hint: Any) -> Any:
    """What a field holds if it is not None."""
    if get_origin(hint) in (Union, UnionType):
        (inner,) = (part for part in get_args(hint) if part is not NoneType)
        return inner
    return hint


def _stored(hint: Any) -> Stored | None:
    marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, Stored)), None)
