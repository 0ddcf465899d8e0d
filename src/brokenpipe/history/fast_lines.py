"""Functions that make a record's line as fast as code written by hand: a load writes one for each request.

    line = line_maker(RequestEnd)                 def line(t0, arm, name, id, ms, status, rest=""):
                                                      return f'{{"k":"end","t0":{t0},"arm":{quote(arm)}, ...'

Their source is generated from the record's declaration, as dataclasses generate theirs. The line equals what
`Record.to_json` gives, but for fractions whose digits are declared.
"""

from __future__ import annotations

from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quote  # in C; json.dumps costs ten times as much

from brokenpipe.history.records.base import Record
from brokenpipe.history.schema.columns import columns_of, digits_of, nullable_fields, optional_fields


def line_maker(record: type[Record]) -> Callable[..., str]:
    """A function of all fields, by position. Of a sparse record, of those without a default and the `rest`."""
    sparse = optional_fields(record) if record.SPARSE else ()
    names = [name for name in columns_of(record) if name not in sparse]
    parts = "".join(f',"{name}":{{{_value(record, name)}}}' for name in names)
    rest = (', rest=""', "{rest}") if record.SPARSE else ("", "")
    source = f'lambda {", ".join(names)}{rest[0]}: f\'{{{{"k":"{record.KIND}"{parts}{rest[1]}}}}}\\n\''
    return _compiled(source)


def rest_maker(record: type[Record]) -> Callable[..., str]:
    """A function that makes the `rest` of a sparse record's line from its fields with a default, by name."""
    names = optional_fields(record)
    parts = (
        f"('' if {name} is None else f',\"{name}\":{{{_value(record, name, nullable=False)}}}')"
        for name in names
    )
    return _compiled(f"lambda *, {', '.join(f'{name}=None' for name in names)}: {' + '.join(parts)}")


def _value(record: type[Record], name: str, *, nullable: bool = True) -> str:
    """The expression for one value as JSON. In what is written, a sparse record has no None without a default."""
    column, digits = columns_of(record)[name], digits_of(record, name)
    made = {
        "VARCHAR": f"quote({name})",
        "BOOLEAN": f'"true" if {name} else "false"',
        "DOUBLE": f"{name}!r" if digits is None else f"{name}:.{digits}f",
        "BIGINT": name,
        "INTEGER": name,
    }[column]
    if nullable and not record.SPARSE and name in nullable_fields(record):
        return f'"null" if {name} is None else {made}'
    return made


def _compiled(source: str) -> Callable[..., str]:
    made: Callable[..., str] = eval(source, {"quote": quote})  # noqa: S307 - made of the names in our own declarations
    return made
