"""Secrets, kept out of everything that is shown or written: values of variables, passwords in URLs, command lines.

A value is told by the name it stands under (OPENAI_API_KEY) or by its form (postgresql://user:password@host). What
stands in its place says nothing of it: no length, no digest (docs/decisions/0190).
"""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import quote

REDACTED = "‹redacted›"
PASSED = "‹passed on›"  # of a variable whose value is the caller's
SHORTEST = 6  # characters of a value that is looked for in texts of others
_REDACTED = re.compile(r"‹redacted(?:-\d+)?›")

# Parts of a name, between underscores or where a capital begins: MONKEY and KEYBOARD are not secret.
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_PARTS = frozenset(
    (
        "KEY",
        "KEYS",
        "APIKEY",
        "TOKEN",
        "TOKENS",
        "SECRET",
        "SECRETS",
        "PASSWORD",
        "PASSWORDS",
        "PASSWD",
        "PASS",
        "PASSPHRASE",
        "PWD",
        "CREDENTIAL",
        "CREDENTIALS",
        "CREDS",
        "AUTH",
        "BEARER",
        "COOKIE",
        "JWT",
    )
)
_SECRET_END = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|APIKEY|ACCESSKEY|PRIVATEKEY)S?$"
)
_COUNTED = frozenset({"MAX", "MIN", "NUM", "COUNT", "LIMIT", "PER"})  # MAX_TOKENS is a number of tokens
_NO_SECRET = frozenset({"PWD", "OLDPWD", "PASS_ENV"})  # where a shell stands; a key of our own files

# A password after the user of a URL, or a token that stands alone there; not a placeholder of target.toml.
_PASSWORD = re.compile(r"""(?<=://)([^\s/:@"']*):(?!\{\w+\}@)([^\s/"']+)@""")
_LONE_TOKEN = re.compile(r"""\b(https?://)(?!\{)([^\s/:@"']+)@""")
# NAME=value or NAME = 'value', as in a command line, a query or a keyword DSN.
_QUOTED_OR_BARE = r"""'[^']*'|"(?:[^"\\]|\\.)*"|[^\s&;,'"]+"""
_ASSIGNMENT = re.compile(rf"(?<![A-Za-z0-9_-])([A-Za-z_][A-Za-z0-9_-]*)(\s*=\s*)({_QUOTED_OR_BARE})")
_JSON = re.compile(r'''"([A-Za-z_][A-Za-z0-9_-]*)"(\s*:\s*)"((?:[^"\\]|\\.)+)"''')
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{4,}")
_PLACEHOLDER = re.compile(r"['\"]?\{\w+\}['\"]?")


def is_secret_name(name: str) -> bool:
    """Whether the value of a variable of that name is one that nobody should read."""
    if name.upper() in _NO_SECRET:
        return False
    parts = [part.upper() for part in _PART.findall(name)]
    if "TOKENS" in parts and _COUNTED & set(parts):
        return False
    return any(part in _SECRET_PARTS or _SECRET_END.search(part) for part in parts)


def is_redacted(value: str) -> bool:
    """Whether something was taken out of it."""
    return _REDACTED.search(value) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether the value may not be shown as it is."""
    return redacted(name, value) != value


def redacted(name: str, value: str, instead: str = REDACTED) -> str:
    """The value of a variable as it may be shown. An empty one is shown: it says that there is none."""
    if not value or _REDACTED.fullmatch(value):
        return value
    return instead if is_secret_name(name) else redacted_text(value, instead)


def redacted_text(text: str, instead: str = REDACTED) -> str:
    """A text without the passwords of its URLs, and without what stands behind the name of a secret and `=`."""
    text = _PASSWORD.sub(lambda found: f"{found[1]}:{_kept_or(found[2], instead)}@", text)
    text = _LONE_TOKEN.sub(lambda found: f"{found[1]}{_kept_or(found[2], instead)}@", text)
    text = _BEARER.sub(lambda found: f"{found[1]} {instead}", text)
    text = _JSON.sub(lambda found: _member(found, instead), text)
    return _ASSIGNMENT.sub(lambda found: _assignment(found, instead), text)


def _member(found: re.Match[str], instead: str) -> str:
    name, colon, value = found.groups()
    return f'"{name}"{colon}"{_kept_or(value, instead)}"' if is_secret_name(name) else found[0]


def _assignment(found: re.Match[str], instead: str) -> str:
    name, equals, value = found.groups()
    in_sql = name == "key" and equals != "="
    if in_sql or not is_secret_name(name) or _PLACEHOLDER.fullmatch(value):
        return found[0]
    quote = value[0] if value[0] in "'\"" else ""
    inside = value.strip(quote) if quote else value
    return f"{name}{equals}{quote}{_kept_or(inside, instead)}{quote}" if inside else found[0]


def _kept_or(value: str, instead: str) -> str:
    return value if _REDACTED.fullmatch(value) else instead


def redacted_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line as it may be shown. `--env KEY=secret` becomes `--env KEY`, which can be repeated with the key."""
    return [_argument(each) for each in arguments]


def redacted_command(command: str) -> str:
    """The same of one text, as a shell would read it."""
    try:
        return shlex.join(redacted_arguments(shlex.split(command)))
    except ValueError:  # it is none
        return redacted_text(command)


def _argument(argument: str) -> str:
    option, name, value = re.fullmatch(r"(--env=)?(?:([A-Za-z_]\w*)=)?(.*)", argument, re.DOTALL).groups()  # type: ignore[union-attr]
    if name and is_secret(name, value):
        return f"{option or ''}{name}"
    return redacted_text(argument)


def redacted_environments(environments: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Sets of variables as they may be shown. Different values of one variable differ: ‹redacted›, ‹redacted-2›."""
    values: dict[str, list[str]] = defaultdict(list)

    def shown(name: str, value: str) -> str:
        if not is_secret(name, value):
            return value
        if value not in values[name]:
            values[name].append(value)
        number = values[name].index(value) + 1
        return redacted(name, value, REDACTED if number == 1 else f"‹redacted-{number}›")

    return [{name: shown(name, value) for name, value in each.items()} for each in environments]


def secret_values(variables: Mapping[str, str], passed: Collection[str] = ()) -> tuple[str, ...]:
    """What nobody should find in the output of a program with these variables; values that were passed on, too.

    Too short a value is not looked for: it would be found where it is not meant.
    """
    values = set()
    for name, value in variables.items():
        if name in passed or is_secret_name(name):
            values.add(value)
        else:
            values |= {found[2] for found in _PASSWORD.finditer(value)}
    forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
    return tuple(sorted(forms, key=len, reverse=True))


def _forms(value: str) -> Iterator[str]:
    """As programs print it: plain, in JSON, in Python, and in a URL."""
    yield from (value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""))


def without_numbers(value: str) -> str:
    """The value as it is redacted in every run: which of several it was, each run counts for itself."""
    return _REDACTED.sub(REDACTED, value)
