"""JSON files that others may have written: read within bounds, each key once, numbers that are finite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from brokenpipe.files import ReadLimits, UnfitFile, check_values, read_bytes

LIMITS = ReadLimits(size_bytes=16_777_216, depth=24, values=1_000_000, text=131_072)
_DIGITS = 20  # of a whole number of 64 bits, with its sign


def read_json(path: Path, limits: ReadLimits = LIMITS) -> Any:
    """What a JSON file says. Raises UnfitFile if it cannot be read, is no JSON, or is out of these bounds."""
    content = read_bytes(path, limits.size_bytes)
    try:
        found = json.loads(
            content.decode("utf-8"),
            parse_int=_whole,
            parse_constant=_refuse_constant,
            object_pairs_hook=_each_key_once,
        )
    except RecursionError as error:
        raise UnfitFile("", "", f"is nested too deeply: at most {limits.depth} levels are allowed") from error
    except UnicodeDecodeError as error:
        raise UnfitFile("", f"a byte that is no UTF-8 at offset {error.start}", "is not JSON") from error
    except ValueError as error:
        raise UnfitFile("", "", f"is not JSON: {error}") from error
    check_values(found, limits)
    return found


def read_object(path: Path, limits: ReadLimits = LIMITS) -> dict[str, Any]:
    """The same, of a file that holds one object. Raises UnfitFile for one that holds anything else."""
    found = read_json(path, limits)
    if not isinstance(found, dict):
        kind = "nothing (null)" if found is None else f"a {type(found).__name__}"
        raise UnfitFile("", kind, "must be a JSON object")
    return found


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise UnfitFile("", f"a whole number of {len(text):,} digits", "has 64 bits at most")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise UnfitFile("", name, "is no number that JSON knows")


def _each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnfitFile(twice, "", "stands there twice, and which of them counts cannot be told")
    return found
