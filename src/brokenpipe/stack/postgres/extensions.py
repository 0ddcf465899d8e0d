"""Extensions that a service creates and the Postgres at hand does not have, such as pgvector's `vector`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brokenpipe.errors import ExtensionError

# Both from the server: its error, and the detail that names the file, which is all that versions before 15 say.
_MISSING = re.compile(
    r'extension "(?P<name>[^"\s]+)" is not available|'
    r'could not open extension control file "[^"]*/(?P<file>[^"/]+)\.control"',
    re.IGNORECASE,
)


def missing_extension(lines: Iterable[str]) -> str | None:
    """The extension that a server does not have, if a line of a log says so."""
    found = next((match for line in lines if (match := _MISSING.search(line))), None)
    return (found["name"] or found["file"]) if found else None


def missing_extension_error(lines: Iterable[str]) -> ExtensionError | None:
    """The error for an extension that is missing, if a line of a log says so."""
    name = missing_extension(lines)
    return ExtensionError(name) if name else None
