"""TOML into a frozen model, or every mistake in the file at once: key, what was found, what is allowed."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from brokenpipe.errors import FileError, Problem

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]


class Strict(BaseModel):
    """A part of a file that people write: frozen, no unknown keys, no silent conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_toml(path: Path, error: type[FileError]) -> tuple[str, dict[str, Any]]:
    """The text of a file and what it says. Raises `error` if it cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error(path, (Problem("file", "", f"cannot be read: {reason}"),)) from problem
    except UnicodeDecodeError as problem:
        found = Problem(
            "file", f"byte {problem.object[problem.start]:#04x} at {problem.start}", "must be UTF-8"
        )
        raise error(path, (found,)) from problem
    except tomllib.TOMLDecodeError as problem:
        raise error(path, (Problem("syntax", "", f"{problem}; the file must be TOML"),)) from problem


def validated(model: type[Model], data: object, path: Path, error: type[FileError], remedy: str) -> Model:
    """`data` as `model`. Raises `error` with one Problem for each mistake."""
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        problems = tuple(_problem(model, details) for details in invalid.errors(include_url=False))
        raise error(path, problems, remedy=remedy) from invalid


def key_of(location: Iterable[int | str]) -> str:
    """A location as people write it: ("phases", 2, "fault") is `phases[2].fault`, counted from 0."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key or "file"


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """The allowed words, the likely one first."""
    words = list(allowed)
    close = difflib.get_close_matches(word, words, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(words) or 'none'}"


def _problem(model: type[BaseModel], details: ErrorDetails) -> Problem:
    location = details["loc"]
    key, found, allowed = key_of(_walk(model, location)[1]), _shown(details["input"]), ""
    context: Mapping[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            hint = did_you_mean(str(location[-1]), _keys_at(model, location[:-1]))
            found, allowed = "", f"unknown key; {hint}"
        case "missing":
            found, allowed = "nothing", "this key is required"
        case "union_tag_invalid":
            tags = str(context["expected_tags"]).replace("'", "").split(", ")
            key, found = f"{key}.name", repr(context["tag"])
            allowed = did_you_mean(str(context["tag"]), tags)
        case "union_tag_not_found":
            key, found, allowed = f"{key}.name", "nothing", "a fault needs a name"
        case "value_error":
            found, allowed = "", str(context["error"])
        case "string_type":
            allowed = f'must be a string in quotes: "{details["input"]}"'
        case _:
            allowed = details["msg"].replace("Input should be", "must be")
    return Problem(key, found, allowed)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that an annotation allows, looked up through Annotated, unions and containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple, list, dict):
        return [model for argument in get_args(annotation) for model in _models(argument)]
    return []


def _walk(model: type[BaseModel], location: Location) -> tuple[list[type[BaseModel]], list[int | str]]:
    """The models that may stand at `location`, and the location without pydantic's union tags."""
    at: list[type[BaseModel]] = [model]
    plain: list[int | str] = []
    for part in location:
        fields = [
            candidate.model_fields[str(part)] for candidate in at if str(part) in candidate.model_fields
        ]
        if isinstance(part, int):
            plain.append(part)
        elif fields:
            plain.append(part)
            at = [found for field in fields for found in _models(field.annotation)]
        elif tagged := [c for c in at if _tag(c) == part]:
            at = tagged
        else:
            plain.append(part)
    return at, plain


def _tag(model: type[BaseModel]) -> object:
    name = model.model_fields.get("name")
    return get_args(name.annotation)[0] if name and get_args(name.annotation) else None


def _keys_at(model: type[BaseModel], location: Location) -> list[str]:
    at, _ = _walk(model, location)
    return sorted({field for candidate in at for field in candidate.model_fields})
