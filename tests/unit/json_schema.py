"""As much of a JSON Schema validator as our own schema needs: what does not fit, as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
_CHECKED = {
    "type", "properties", "required", "additionalProperties", "patternProperties", "items", "oneOf", "enum",
    "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "$ref",
}  # fmt: skip
_ANNOTATIONS = {"title", "description", "default", "examples", "$defs", "$schema"}


def misfits(value: object, schema: dict[str, Any], root: dict[str, Any], at: str = "file") -> Iterator[str]:
    """Everything in `value` that `schema` forbids. `root` is where references lead."""
    assert set(schema) <= _CHECKED | _ANNOTATIONS, f"{at}: this validator does not know {set(schema)}"
    if reference := schema.get("$ref"):
        yield from misfits(value, root["$defs"][reference.removeprefix("#/$defs/")], root, at)
    if "oneOf" in schema:
        fitting = [each for each in schema["oneOf"] if not list(misfits(value, each, root, at))]
        if len(fitting) != 1:
            yield f"{at}: fits {len(fitting)} of the choices"
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{at}: is no {kind}"
        return
    if isinstance(value, dict):
        yield from _table_misfits(value, schema, root, at)
    elif isinstance(value, list):
        yield from _array_misfits(value, schema, root, at)
    else:
        yield from _plain_misfits(value, schema, at)


def _array_misfits(
    array: list[object], schema: dict[str, Any], root: dict[str, Any], at: str
) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(array) <= schema.get("maxItems", len(array)):
        yield f"{at}: too few"
    for index, item in enumerate(array):
        yield from misfits(item, schema.get("items", {}), root, f"{at}[{index}]")


def _table_misfits(
    table: dict[str, object], schema: dict[str, Any], root: dict[str, Any], at: str
) -> Iterator[str]:
    yield from (f"{at}.{key}: required" for key in schema.get("required", ()) if key not in table)
    if not schema.get("minProperties", 0) <= len(table) <= schema.get("maxProperties", len(table)):
        yield f"{at}: too few or too many"
    for key, value in table.items():
        known = [schema["properties"][key]] if key in schema.get("properties", {}) else []
        known += [
            each for pattern, each in schema.get("patternProperties", {}).items() if re.search(pattern, key)
        ]
        if not known and schema.get("additionalProperties") is False:
            yield f"{at}.{key}: unknown"
        for each in known:
            yield from misfits(value, each, root, f"{at}.{key}")


def _plain_misfits(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    allowed = {
        "enum": lambda limit: value in limit,
        "const": lambda limit: value == limit,
        "pattern": lambda limit: re.search(limit, value),
        "minimum": lambda limit: value >= limit,
        "maximum": lambda limit: value <= limit,
        "exclusiveMinimum": lambda limit: value > limit,
        "minLength": lambda limit: len(value) >= limit,
        "maxLength": lambda limit: len(value) <= limit,
    }
    yield from (
        f"{at}: {rule}" for rule, holds in allowed.items() if rule in schema and not holds(schema[rule])
    )
