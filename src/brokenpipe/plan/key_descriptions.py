"""Descriptions of keys in a JSON Schema: the string below a field of a model.

pydantic can do that, too (`use_attribute_docstrings`), but reads the source of every model whenever it is imported,
which takes a tenth of a second of every command. Here they are read when a schema is asked for.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


class DescribedKeys(GenerateJsonSchema):
    """pydantic's generator, with a description of each key that has one below its field."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().model_schema(schema)
        for key, text in _descriptions(schema["cls"]).items():
            if key in found.get("properties", {}):
                found["properties"][key].setdefault("description", text)
        return found


def _descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The strings below its fields, its parents' too, by key."""
    described: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            described.update(_strings_below_fields(parent))
    return {
        field.alias or name: described[name]
        for name, field in model.model_fields.items()
        if name in described
    }


def _strings_below_fields(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(declared, ast.ClassDef)
    for field, below in zip(declared.body, declared.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)
