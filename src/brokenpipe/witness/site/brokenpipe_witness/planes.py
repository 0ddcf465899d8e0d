"""The planes of the witness: which libraries of this process it sees, by what they are for.

    requests      servers: each request, and the exception that left the application
    pools         waiting, connecting, checking, handing out and giving back
    connections   drivers: connections that were opened outside of any pool

A library is recorded once in a process, when it is first used: a server has loaded its application, a pool was made.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.safe_call import never_raises

REQUESTS, POOLS, CONNECTIONS = "requests", "pools", "connections"

_recorded: set[tuple[str, str]] = set()


@never_raises
def record(plane: str, library: str) -> None:
    """Write that `library`, by the name of its imported module, is seen in `plane`; only the first time."""
    if (plane, library) not in _recorded:
        _recorded.add((plane, library))
        write({"k": "plane", "t": now(), "plane": plane, "library": library, "version": _version(library)})


def _version(library: str) -> str | None:
    """The version that the module itself has, or its distribution's: importlib.metadata takes 15 ms to import."""
    module = sys.modules.get(library)
    version = vars(module).get("__version__") if module else None  # no getattr: some warn about it
    return version.split()[0] if isinstance(version, str) and version else _installed_version(library, module)


def _installed_version(library: str, module: Any) -> str | None:
    """The version in the name of the folder with its metadata, beside the module's own."""
    package = os.path.dirname(getattr(module, "__file__", None) or "")  # noqa: PTH120 (no pathlib at start-up)
    beginning = f"{library}-".lower()
    for name in os.listdir(os.path.dirname(package)) if package else ():  # noqa: PTH120, PTH208
        if name.endswith(".dist-info") and name.lower().replace("-", "_").startswith(
            beginning.replace("-", "_")
        ):
            return name[len(beginning) : -len(".dist-info")]
    return None
