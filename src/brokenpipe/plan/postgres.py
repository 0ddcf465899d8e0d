"""How the stack's Postgres is set up, as far as a scenario has a say in it."""

from __future__ import annotations

import json

from brokenpipe.plan.strict import Strict

UNREADABLE = (
    "waits for a message that TLS hides from the proxy: take another fault, or leave tls out of [postgres]"
)


class PostgresSettings(Strict):
    """`[postgres]`: how the server behind all arms is set up."""

    tls: bool = False
    """Services reach their database over TLS only, and check who answers: sslmode=verify-full, with a certificate
    authority made for this run. Without it nothing is encrypted, as is usual on one machine."""

    @property
    def chosen(self) -> str:
        """What is otherwise than usual, as one would write it; empty if nothing is."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return ", ".join(f"{key} = {json.dumps(value)}" for key, value in changed.items())
