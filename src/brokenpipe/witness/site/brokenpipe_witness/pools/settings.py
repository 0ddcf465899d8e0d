"""How the service made its pool: a constructor, and the arguments with which another would be the same.

Numbers, flags and names of classes and functions only: never an address or a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.safe_call import never_raises

_recorded: set[str] = set()


@never_raises
def record(library: str, constructor: str, arguments: Mapping[str, Any]) -> None:
    """Write that a pool was made so. Texts among the arguments are Python source. Once for all pools that are alike."""
    said = f"{library} {constructor} {sorted(arguments.items())}"
    if said not in _recorded:
        _recorded.add(said)
        write(
            {
                "k": "pool_settings",
                "t": now(),
                "library": library,
                "constructor": constructor,
                "arguments": dict(arguments),
            }
        )


def source_of(function: Any) -> str:
    """The name of a function or method as a reader may write it; of one without a name, a word for it."""
    name = getattr(function, "__qualname__", "")
    return name if name and "<" not in name else "your_own"
