"""Converts pydantic's locations into keys as they are written in TOML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from brokenpipe.faults import Fault, fault_kinds

Location = tuple[int | str, ...]
_MARKS = {"[key]", "[path]", "[table]"}
"""No keys: pydantic's mark for a mistake in a key instead of its value, and tags of values that have several forms."""
_CONTAINERS = (Annotated, Union, UnionType, tuple, list, dict, Mapping)


def key_of(location: Iterable[int | str]) -> str:
    """A location as it is written in TOML: ("phases", 2, "fault") is `phases[2].fault`, counted from 0."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key or "file"


def as_written(model: type[BaseModel], location: Location) -> list[int | str]:
    """The location without what pydantic adds to it: the tags of unions, the mark of a key."""
    return _walk(model, location)[1]


def keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that are allowed in the table at `location`."""
    at, _ = _walk(model, location)
    return sorted({field for candidate in at for field in candidate.model_fields})


def tags_at(model: type[BaseModel], location: Location) -> list[str]:
    """The names by which the tables that may stand at `location` are told apart."""
    at, _ = _walk(model, location)
    return [tag for candidate in at if (tag := _tag(candidate))]


def holds_tables(model: type[BaseModel], location: Location) -> bool:
    """Whether what stands at `location` is made of tables with known keys."""
    return bool(_walk(model, location)[0])


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that an annotation allows, looked up through Annotated, unions and containers."""
    if annotation is Fault:
        return list(fault_kinds())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in _CONTAINERS:
        return [model for argument in get_args(annotation) for model in _models(argument)]
    return []


def _walk(model: type[BaseModel], location: Location) -> tuple[list[type[BaseModel]], list[int | str]]:
    """The models that may stand at `location`, and the location as written."""
    at: list[type[BaseModel]] = [model]
    plain: list[int | str] = []
    names_a_table = False
    for part in location:
        if names_a_table:  # a key of the writer's own, such as the name of an arm
            plain.append(part)
            names_a_table = False
            continue
        fields = [
            candidate.model_fields[str(part)] for candidate in at if str(part) in candidate.model_fields
        ]
        if fields:
            plain.append(part)
            at = [found for field in fields for found in _models(field.annotation)]
            names_a_table = any(get_origin(field.annotation) is Mapping for field in fields)
        elif tagged := [candidate for candidate in at if _tag(candidate) == part]:
            at = tagged
        elif part not in _MARKS:
            plain.append(part)
            at = at if isinstance(part, int) else []
    return at, plain


def _tag(model: type[BaseModel]) -> str:
    name = model.model_fields.get("name")
    words = get_args(name.annotation) if name else ()
    return str(words[0]) if words else ""
