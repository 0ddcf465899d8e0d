"""Settings of the stack's Postgres that a scenario can change."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from brokenpipe.plan.toml_model import StrictModel

RESERVED_CONNECTIONS = (
    3  # connections that Postgres keeps for superusers by default (superuser_reserved_connections)
)
UNREADABLE_OVER_TLS = (
    "waits for a message that TLS hides from the proxy: take another fault, or leave tls out of [postgres]"
)


class PostgresSettings(StrictModel):
    """`[postgres]`: how the server behind all arms is set up."""

    tls: bool = False
    """Services reach their database over TLS only, and check who answers: sslmode=verify-full, with a certificate
    authority made for this run. Without it nothing is encrypted, as is usual on one machine."""

    max_connections: Annotated[int, Field(ge=RESERVED_CONNECTIONS + 1, le=1000)] | None = None
    """How many connections Postgres allows each arm, as if it had a server of its own; three are reserved for
    superusers, and connections above the rest are refused with 53300. Without it, more than any arm asks for."""

    binaries: Annotated[str, Field(min_length=1)] | None = None
    """The folder with the programs of another Postgres, such as one that has an extension that the service needs,
    relative to the folder of the project; `pg_config --bindir` prints it. Only of local processes."""

    @property
    def service_connections(self) -> int | None:
        """Connections that the service of an arm may have; None: no limit of its own."""
        return None if self.max_connections is None else self.max_connections - RESERVED_CONNECTIONS

    @property
    def chosen(self) -> str:
        """The keys that differ from the defaults, as written in TOML; empty if none does."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return ", ".join(f"{key} = {json.dumps(value)}" for key, value in changed.items())
