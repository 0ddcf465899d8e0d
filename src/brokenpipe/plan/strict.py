"""TOML into a frozen model, or every mistake in the file at once: key, what was found, what is allowed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from brokenpipe.errors import FileError, Problem
from brokenpipe.plan.wording import problem_of

Model = TypeVar("Model", bound=BaseModel)


_SAVE_AS_UTF8 = "Save it as UTF-8 text in your editor."
_LEARN_TOML = (
    "Correct that line: text stands in quotes, true and false in lower case, each key once; "
    "https://toml.io shows the syntax on one page."
)


class Strict(BaseModel):
    """A part of a file that people write: frozen, no unknown keys, no silent conversion between types, no NaN.

    The string below a field becomes its description in the JSON Schema, see schema.py.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def read_toml(path: Path, error: type[FileError]) -> tuple[str, dict[str, Any]]:
    """The text of a file and what it says. Raises `error` if it cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors still write a byte-order mark
        return text, tomllib.loads(text)
    except OSError as problem:
        found = Problem("file", "", f"cannot be read: {problem.strerror or problem}")
        raise error(path, (found,), remedy="Give a file that exists and that you may read.") from problem
    except UnicodeDecodeError as problem:
        byte = f"byte {problem.object[problem.start]:#04x} at offset {problem.start}"
        raise error(path, (Problem("file", byte, "must be UTF-8"),), remedy=_SAVE_AS_UTF8) from problem
    except tomllib.TOMLDecodeError as problem:
        raise error(path, (Problem("syntax", "", f"{problem}"),), remedy=_LEARN_TOML) from problem
    except RecursionError as problem:
        found = Problem("syntax", "", "nested too deeply")
        raise error(path, (found,), remedy=_LEARN_TOML) from problem


def validated(model: type[Model], data: object, path: Path, error: type[FileError], remedy: str) -> Model:
    """`data` as `model`. Raises `error` with one Problem for each mistake."""
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        problems = tuple(
            problem_of(model, details)
            for details in invalid.errors(include_url=False)
            # pydantic counts what is left once it has dropped the wrong ones: said of those already
            if not (details["type"] == "too_short" and details["input"])
        )
        raise error(path, problems, remedy=remedy) from invalid
