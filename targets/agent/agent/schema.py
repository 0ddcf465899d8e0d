"""The schema, made at start where it is missing, with a few conversations to begin with."""

from sqlalchemy import Connection, func, insert, select

from agent.models import Base, Conversation, Message

SEED_CONVERSATIONS = 50
"""A fresh database holds the conversations 1 to 50."""

SEED_TURNS = 2
"""Turns in each: a message of the user and an answer."""

LOCK_KEY = 0x61_67_65_6E_74
"""Any number will do for an advisory lock as long as every worker takes the same: "agent" in ASCII."""


def prepare(connection: Connection) -> None:
    """Create and seed the tables. Several workers may start at once: the first does it, the others wait."""
    connection.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))
    Base.metadata.create_all(connection)
    if connection.scalar(select(Conversation.id).limit(1)) is None:
        _seed(connection)


def _seed(connection: Connection) -> None:
    ids = range(1, SEED_CONVERSATIONS + 1)
    connection.execute(insert(Conversation), [{"id": n, "title": f"Conversation {n}"} for n in ids])
    connection.execute(
        insert(Message),
        [
            {"conversation_id": n, "role": role, "content": f"{role} speaks, turn {turn} of conversation {n}"}
            for n in ids
            for turn in range(1, SEED_TURNS + 1)
            for role in ("user", "assistant")
        ],
    )
    # The ids were given by hand: without this the first new conversation would collide with number 1.
    sequence = func.pg_get_serial_sequence(Conversation.__tablename__, "id")
    connection.execute(select(func.setval(sequence, SEED_CONVERSATIONS)))
