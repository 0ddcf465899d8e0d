"""TOML into a frozen model, or every mistake in the file at once: key, what was found, what is allowed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from brokenpipe.errors import MOST_PROBLEMS, FileError, Problem
from brokenpipe.files import KEY_CHARACTERS, ReadLimits, UnfitFile, check_values, read_bytes
from brokenpipe.plain_text import shorten
from brokenpipe.plan.errors.messages import problem_of

Model = TypeVar("Model", bound=BaseModel)

LIMITS = ReadLimits(size_bytes=262_144, depth=8, values=20_000, text=65_536, bits=320)
"""Of a TOML file: tens of times what the largest scenario needs. A whole number of 320 bits can be shown and compared;
which ones a key takes is said by its own range."""

_SAVE_AS_UTF8 = "Save it as UTF-8 text in your editor."
_CORRECT_VALUE = "Correct that value; scenarios/default.toml shows what they are like."
_LEARN_TOML = (
    "Correct that line: text stands in quotes, true and false in lower case, each key once; "
    "https://toml.io shows the syntax on one page."
)


class StrictModel(BaseModel):
    """Base of all tables of TOML files: frozen, no unknown keys, no silent conversion between types, no NaN.

    The string below a field becomes its description in the JSON Schema, see key_descriptions.py.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def read_toml(path: Path, error: type[FileError]) -> tuple[str, dict[str, Any]]:
    """Read a TOML file within LIMITS. Returns its text and its data. Raises `error` if it cannot be read as TOML."""
    try:
        text = read_bytes(path, LIMITS.size_bytes).decode("utf-8-sig")  # some editors write a byte-order mark
        _reject_long_keys(text)
        data = tomllib.loads(text)
        check_values(data, LIMITS)
    except UnfitFile as problem:
        remedy = _CORRECT_VALUE if problem.key else "Give a TOML file that exists and that you may read."
        found = Problem(problem.key or "file", problem.found, problem.allowed)
        raise error(path, (found,), remedy=remedy) from problem
    except UnicodeDecodeError as problem:
        byte = f"byte {problem.object[problem.start]:#04x} at offset {problem.start}"
        raise error(path, (Problem("file", byte, "must be UTF-8"),), remedy=_SAVE_AS_UTF8) from problem
    except tomllib.TOMLDecodeError as problem:
        raise error(path, (Problem("syntax", "", f"{problem}"),), remedy=_LEARN_TOML) from problem
    except RecursionError as problem:
        found = Problem("syntax", "", "nested too deeply")
        raise error(path, (found,), remedy=_LEARN_TOML) from problem
    except ValueError as problem:  # Python makes no number of more than some thousand digits
        key, found_digits = _longest_number(text)
        found = Problem(key, found_digits, "is larger than any that is allowed here")
        raise error(path, (found,), remedy=_CORRECT_VALUE) from problem
    return text, data


def validated(model: type[Model], data: object, path: Path, error: type[FileError], remedy: str) -> Model:
    """`data` as `model`. Raises `error` with a Problem for each of the first mistakes, and the number of the others."""
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        found = invalid.errors(include_url=False)
        by_place = {details["loc"]: details for details in reversed(found)}  # an unknown key is told once
        mistakes = [
            details
            for details in reversed(by_place.values())
            # pydantic counts the entries left after dropping wrong ones, which are reported already
            if not (details["type"] == "too_short" and details["input"])
        ]
        problems = tuple(problem_of(model, details) for details in mistakes[:MOST_PROBLEMS])
        raise error(path, problems, remedy=remedy, more=len(mistakes) - len(problems)) from invalid


# Text that contains no keys: strings with three quotation marks or one, and comments.
_NO_KEYS = re.compile(
    r'"""(?:\\.|[^\\])*?"""|' + r"'''.*?'''" + r'|"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*", re.DOTALL
)
# Anchored where a word begins, else a long word takes quadratic time.
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{4 * LIMITS.depth}}}")
_LONG_NUMBER = re.compile(r"(?<![\d_])[\d_]{1000,}")


def _reject_long_keys(text: str) -> None:
    """Raises UnfitFile for a key of very many parts, over which the parser takes as long as their number squared."""
    if found := _LONG_KEY.search(_NO_KEYS.sub("_", text)):
        key = shorten(found[0], KEY_CHARACTERS)
        raise UnfitFile(key, "", f"is nested too deeply: at most {LIMITS.depth} levels are allowed")


def _longest_number(text: str) -> tuple[str, str]:
    """Key and length of the first number with a thousand digits or more."""
    for line in _NO_KEYS.sub("_", text).splitlines():
        if found := _LONG_NUMBER.search(line):
            key = line.partition("=")[0].strip() if "=" in line[: found.start()] else "file"
            return key, f"a number of {len(found[0].replace('_', '')):,} digits"
    return "file", "a number that cannot be read"
