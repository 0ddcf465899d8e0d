"""The pools of SQLAlchemy, whatever the driver.

checkouts     taking a connection from the pool: waiting, pinging, connecting
statements    errors on a connection that a request holds
connections   how connections end: closed, invalidated, found dead by a ping
constructor   how an engine was made
"""

from __future__ import annotations

from brokenpipe_witness.pools.sqlalchemy import checkouts, connections, statements


def instrument() -> None:
    """Watch every engine and pool of the process."""
    checkouts.instrument()
    connections.instrument()
    statements.instrument()
