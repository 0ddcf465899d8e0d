"""An exception and its causes as plain data, outermost first, without secrets and without parameters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 8  # links; real chains have up to five
TEXT = 300  # characters
SHORTEST = 6  # characters of a secret

_URL = re.compile(r"://[^\s'\"<>]*@")
_SECRET = re.compile(
    r"(pass(?:word|wd|phrase)?['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;&)]+)", re.IGNORECASE
)


def _values_of_secrets() -> list[str]:
    """Values of the service's secret variables, the longest first; short ones may occur by chance and are left out."""
    names = os.environ.get("BROKENPIPE_HIDDEN", "").split(",")
    values = {os.environ.get(name, "") for name in names if name}
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)


_VALUES = _values_of_secrets()  # read at start: a service may remove them from its variables


def describe(error: BaseException) -> list[dict[str, Any]]:
    """`error`, then what caused it, and so on. A group's members follow the group."""
    links: list[dict[str, Any]] = []
    seen: set[int] = set()
    pending = [error]
    while pending and len(links) < LONGEST:
        link = pending.pop(0)
        if id(link) not in seen:
            seen.add(id(link))
            links.append(_link(link))
            pending[:0] = _causes(link)
    return links


def scrub(text: str) -> str:
    """`text` without secrets of the service, what looks like a password, and the user part of an address."""
    for value in _VALUES:
        text = text.replace(value, "***")
    return _SECRET.sub(r"\1***", _URL.sub("://***@", text))


def _link(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "sqlstate": _sqlstate(error),
        "errno": error.errno if isinstance(error, OSError) else None,
        "text": scrub(_text(error)[:4000])[:TEXT],
        "invalidated": getattr(error, "connection_invalidated", None),
    }


def _sqlstate(error: BaseException) -> str | None:
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if code is None and error.args and isinstance(error.args[0], dict):  # pg8000: the server's fields
        code = error.args[0].get("C")
    return code if isinstance(code, str) else None


def _text(error: BaseException) -> str:
    """The message. SQLAlchemy's `str()` adds statement and parameters, which are private."""
    if hasattr(error, "hide_parameters") and error.args:
        return str(error.args[0])
    return str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    implicit = None if error.__suppress_context__ else error.__context__
    members = getattr(error, "exceptions", ())
    following = (
        getattr(error, "orig", None),
        error.__cause__,
        implicit,
        *(members if _is_tuple(members) else ()),
    )
    return (cause for cause in following if isinstance(cause, BaseException))


def _is_tuple(members: object) -> bool:
    return isinstance(members, (tuple, list))
