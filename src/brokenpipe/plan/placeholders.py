"""Placeholders in texts of a target.toml: words in braces that are filled in when a program is started.

In commands and in `dsn` every brace belongs to a placeholder. Values of `env` may be JSON or formats of other programs:
there only the words of a database's address are filled in, and all other braces stay.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence

from brokenpipe.errors import Problem
from brokenpipe.plan.errors.messages import did_you_mean

COMMAND_WORDS = ("python", "host", "port")
DATABASE_WORDS = ("user", "password", "host", "port", "database", "sslmode", "sslrootcert")
PREPARE_WORDS = ("python", "psql", *DATABASE_WORDS)
_DATABASE_WORD = re.compile(rf"\{{({'|'.join(DATABASE_WORDS)})\}}")


def database_words_in(text: str) -> frozenset[str]:
    """The words of a database's address that a value of `env` has."""
    return frozenset(_DATABASE_WORD.findall(text))


def fill_database_words(text: str, words: Mapping[str, str]) -> str:
    """A value of `env` with the words of a database's address filled in."""
    return _DATABASE_WORD.sub(lambda found: words[found[1]], text)


def fill_command(command: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """A command with its placeholders filled in."""
    return [part.format_map(words) for part in command]


def placeholder_problems(key: str, template: str, words: tuple[str, ...]) -> Iterator[Problem]:
    """Problems of a text in which every brace belongs to a placeholder."""
    try:
        fields = [
            (name, f"!{conversion}" if conversion else f":{spec}" if spec else "")
            for _, name, spec, conversion in string.Formatter().parse(template)
            if name is not None
        ]
    except ValueError as error:
        yield Problem(key, repr(template), f"{error}; write {{{{ and }}}} for braces")
        return
    for name, form in fields:
        if name in words and form:
            yield Problem(key, f"{{{name}{form}}}", f"write {{{name}}} alone")
        elif name not in words:
            yield Problem(key, f"{{{name}}}", f"unknown placeholder; {did_you_mean(name, words)}")
