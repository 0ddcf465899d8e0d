"""Messages about mistakes in a TOML file: what was found there, and what to write instead.

pydantic's own messages are in terms of Python ("Input should be a valid dictionary"). These are in terms of TOML:
tables, quotes, units and brackets.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from brokenpipe.errors import Problem
from brokenpipe.plan.errors.location import Location, as_written, holds_tables, key_of, keys_at, tags_at

NAME = r"^[a-z][a-z0-9_]{0,39}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
PATH = r"^/[!-~]{0,2000}$"

_PATTERNS = {
    NAME: "a name begins with a lower-case letter and goes on with lower-case letters, digits and _, "
    "40 characters at most",
    VARIABLE: "must be the name of an environment variable: letters, digits and _, no digit first",
    PATH: "must be a path that begins with /, of printable ASCII characters without spaces: write %20 for a space",
}
_MAX_SHOWN = 60
_MAX_WORDS = 100  # words that are compared, and listed


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """The allowed words, the likely one first."""
    every = list(allowed)
    words, meant = every[:_MAX_WORDS], word[:_MAX_SHOWN].lower()
    close = difflib.get_close_matches(meant, words, n=1) or [
        each for each in words if min(len(each), len(meant)) >= 3 and (each in meant or meant in each)
    ]
    hint = f"did you mean {close[0]!r}? " if close else ""
    more = f" and {len(every) - len(words):,} more" if len(every) > len(words) else ""
    return f"{hint}allowed: {', '.join(words) or 'none'}{more}"


def shown(value: object) -> str:
    """A value as it stands in a TOML file, cut where it is long."""
    text = _toml(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def problem_of(model: type[BaseModel], details: ErrorDetails) -> Problem:
    """One of pydantic's errors about a `model`, as key, what was found, and what is allowed."""
    mistake = _Mistake(
        model, details["type"], details["loc"], details["input"], details.get("ctx", {}), details["msg"]
    )
    find, allow = _FOUND.get(mistake.kind, _value_found), _ALLOWED.get(mistake.kind, _pydantic_message)
    key = key_of(mistake.key_path) + (".name" if mistake.kind.startswith("union_tag") else "")
    return Problem(key, find(mistake), allow(mistake))


@dataclass(frozen=True, slots=True)
class _Mistake:
    """A mistake as pydantic reports it. `kind`: pydantic's error type, see its documentation."""

    model: type[BaseModel]
    kind: str
    location: Location
    value: Any
    context: Mapping[str, Any]
    message: str

    @property
    def key_path(self) -> list[int | str]:
        return as_written(self.model, self.location)

    @property
    def last(self) -> int | str:
        return self.key_path[-1] if self.key_path else "file"

    @property
    def tags(self) -> list[str]:
        return tags_at(self.model, self.location)

    @property
    def limit(self) -> str:
        """The number in a bound such as `ge`."""
        value = next(self.context[name] for name in ("ge", "gt", "le", "lt") if name in self.context)
        return str(int(value)) if value == int(value) else f"{value:g}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value) if isinstance(value, str) else str(value)


# --- what was found ---------------------------------------------------------------------------------


def _value_found(mistake: _Mistake) -> str:
    return shown(mistake.value)


def _length_found(mistake: _Mistake) -> str:
    return str(len(mistake.value))


_FOUND: Mapping[str, Callable[[_Mistake], str]] = {
    "extra_forbidden": lambda _: "",  # the key says it
    "missing": lambda _: "nothing",
    "union_tag_not_found": lambda _: "nothing",
    "union_tag_invalid": lambda m: repr(m.context["tag"]),
    "value_error": lambda _: "",  # a validator of ours says it all
    "string_too_long": _length_found,
    "too_long": _length_found,
}


# --- what is allowed --------------------------------------------------------------------------------


def _missing(mistake: _Mistake) -> str:
    tables = {"arms": ": write [arms] and one line for each arm", "phases": ": write one [[phases]] or more"}
    return f"this key is required{tables.get(key_of(mistake.key_path), '')}"


def _unknown_key(mistake: _Mistake) -> str:
    siblings = keys_at(mistake.model, mistake.location[:-1])
    return f"unknown key; {did_you_mean(str(mistake.last), siblings)}"


def _unit(mistake: _Mistake) -> str:
    """The unit of a value, which its key names."""
    key = str(mistake.last)
    unit = " of milliseconds" if key.endswith("ms") else ""
    if key.endswith(("_s", "seconds")) and not key.endswith("_per_s"):
        unit = " of seconds"
    return unit + (", without quotes or unit" if isinstance(mistake.value, str) else "")


def _text(mistake: _Mistake) -> str:
    plain = isinstance(mistake.value, bool | int | float)
    return "must be text in quotes" + (f': "{_toml(mistake.value)}"' if plain else "")


def _array(mistake: _Mistake) -> str:
    if holds_tables(mistake.model, mistake.location):
        return f"must be an array of tables: write [[{mistake.last}]], with double brackets"
    return 'must be an array of strings, such as ["…", "…"]'


def _table(mistake: _Mistake) -> str:
    key_path, tags = mistake.key_path, mistake.tags
    if isinstance(mistake.last, int):
        return f"must be a table: write [[{key_path[-2]}]]"
    if len(key_path) == 1:
        single = ", with single brackets" if isinstance(mistake.value, list) else ""
        return f"must be a table: write [{mistake.last}]{single}"
    tag = mistake.value if mistake.value in tags else tags[0] if tags else ""
    inside = f'name = "{tag}"' if tag else 'NAME = "value"'
    return f"must be a table, such as {{ {inside} }}"


def _one_of(mistake: _Mistake) -> str:
    return did_you_mean(str(mistake.value), re.findall(r"'([^']*)'", mistake.context["expected"]))


def _pydantic_message(mistake: _Mistake) -> str:
    """pydantic's own message, for kinds that the table below does not have."""
    return mistake.message.replace("Input should be", "must be")


_ALLOWED: Mapping[str, Callable[[_Mistake], str]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "union_tag_not_found": lambda m: f"this key is required; allowed: {', '.join(m.tags)}",
    "union_tag_invalid": lambda m: did_you_mean(m.context["tag"], m.tags),
    "value_error": lambda m: str(m.context["error"]),
    "int_type": lambda m: f"must be a whole number{_unit(m)}",
    "float_type": lambda m: f"must be a number{_unit(m)}",
    "finite_number": lambda _: "must be a finite number",
    "bool_type": lambda _: "must be true or false, without quotes",
    "string_type": _text,
    "string_too_short": lambda _: "must not be empty",
    "too_short": lambda _: "must not be empty",
    "string_too_long": lambda m: f"must have {m.context['max_length']} characters at most",
    "too_long": lambda m: f"must have {m.context['max_length']} entries at most",
    "string_pattern_mismatch": lambda m: _PATTERNS.get(m.context["pattern"], m.message),
    "literal_error": _one_of,
    "enum": _one_of,
    "greater_than_equal": lambda m: f"must be {m.limit} or more",
    "greater_than": lambda m: f"must be more than {m.limit}",
    "less_than_equal": lambda m: f"must be {m.limit} or less",
    "less_than": lambda m: f"must be less than {m.limit}",
    "tuple_type": _array,
    "model_type": _table,
    "model_attributes_type": _table,
    "dict_type": _table,
    "mapping_type": _table,
}
