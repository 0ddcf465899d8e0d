"""Which code was run, as `environment.json` holds it: the service, what its users do, and brokenpipe itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def code_revisions(environment: Mapping[str, Any]) -> dict[str, str]:
    """Each with its revision, "0c54fae2f5f8 with changes 91ab03d". What git did not know is not there."""
    code = environment.get("code")
    if not isinstance(code, Mapping):
        return {}
    return {str(what): _revision_text(found) for what, found in code.items() if isinstance(found, Mapping)}


def _revision_text(found: Mapping[str, Any]) -> str:
    revision = str(found.get("revision"))[:12]
    return f"{revision} with changes {str(found['changes'])[:7]}" if found.get("changes") else revision
