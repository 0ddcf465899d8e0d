"""A real Postgres in one's own tests, and the wire to it to break.

    from brokenpipe.testing import postgres, wire

    with postgres() as server, wire(server) as w:
        engine = create_engine(w.url("postgresql+psycopg"), pool_pre_ping=True)
        ...
        w.kill(how="reset")        # returns when a raw socket has seen it

With pytest both are fixtures of the same names (docs/pytest.md).
"""

from __future__ import annotations

from brokenpipe.errors import BrokenpipeError, FaultNotSeen, StackError, UsageError
from brokenpipe.testing.connections import WireConnection
from brokenpipe.testing.server import PostgresServer, postgres, wire
from brokenpipe.testing.wires import Wire

__all__ = [
    "BrokenpipeError",
    "FaultNotSeen",
    "PostgresServer",
    "StackError",
    "UsageError",
    "Wire",
    "WireConnection",
    "postgres",
    "wire",
]
