"""How Alembic reaches the database."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from orders.db import Base, engine


def migrate(connection: Connection) -> None:
    """Run what is missing."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """The same, on a connection of the service's engine."""
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
