"""The type of a field that holds any fault, told apart by its `name`, as a scenario's `fault = { ... }` is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from brokenpipe.faults.base import Fault
from brokenpipe.faults.registry import fault_kinds, registry
from brokenpipe.faults.unknown import unknown_fault

RECORDED = "recorded"
"""Key of a validation context: what is read was recorded, so that a fault may be one that is not installed. Its value
are the names of those that strike."""


class _AnyInstalled:
    """Looks the faults up when one is parsed, so that those of other distributions count as well.

    They import this package while they are loaded: it must not load them while it is itself imported.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(_union(fault_kinds()).core_schema)


AnyFault = Annotated[Fault, _AnyInstalled()]


def _parse(value: object, info: ValidationInfo) -> Fault:
    """A fault as it is, or the fault that a table describes. Raises ValidationError."""
    if isinstance(value, Fault):
        return value
    strikes = (info.context or {}).get(RECORDED)
    if strikes is not None and isinstance(value, Mapping) and value.get("name") not in registry().kinds:
        return unknown_fault(value, momentary=value.get("name") in strikes)
    return _union(fault_kinds()).validate_python(value)


@lru_cache(maxsize=1)
def _union(kinds: tuple[type[Fault], ...]) -> TypeAdapter[Fault]:
    union: Any = reduce(or_, kinds)
    return TypeAdapter(Annotated[union, Field(discriminator="name")])
