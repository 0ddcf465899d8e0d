"""Every query, on a connection of either driver."""

from typing import NamedTuple

from driver_pools.pools import Connection

HISTORY_LIMIT = 10
RECALL_LIMIT = 3
SEED_CONVERSATIONS = 50
LOCK_KEY = 0x706F6F6C73
"""Of an advisory lock: whoever starts first makes the tables, and the others wait."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS conversations (id serial PRIMARY KEY, title text NOT NULL)",
    """CREATE TABLE IF NOT EXISTS messages (
        id serial PRIMARY KEY, conversation_id int NOT NULL REFERENCES conversations, role text NOT NULL,
        content text NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS newest_messages ON messages (conversation_id, id)",
    "CREATE TABLE IF NOT EXISTS memories (id serial PRIMARY KEY, key text NOT NULL, text text NOT NULL)",
    "CREATE INDEX IF NOT EXISTS memories_by_key ON memories (key)",
)
SEED = (
    f"INSERT INTO conversations (title) SELECT 'Conversation ' || n FROM generate_series(1, {SEED_CONVERSATIONS}) n",
    """INSERT INTO messages (conversation_id, role, content)
        SELECT id, role, role || ' speaks in ' || title FROM conversations, unnest(ARRAY['user', 'assistant']) role""",
)


class Message(NamedTuple):
    """One thing said, by the user or by the assistant."""

    id: int
    role: str
    content: str


class Reply(NamedTuple):
    """Where the answer of a chat was stored."""

    conversation_id: int
    message_id: int


class NoSuchConversationError(LookupError):
    """There is no conversation of that number."""


async def prepare(connection: Connection) -> None:
    """Create and seed the tables that are missing."""
    async with connection.transaction():
        await connection.fetch(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
        for table in TABLES:
            await connection.fetch(table)
        if not await connection.fetch("SELECT id FROM conversations LIMIT 1"):
            for rows in SEED:
                await connection.fetch(rows)


async def load_history(connection: Connection, conversation_id: int) -> list[Message]:
    """The newest messages of a conversation, oldest first. Raises NoSuchConversationError."""
    rows = await connection.fetch(
        "SELECT id, role, content FROM messages WHERE conversation_id = $1 ORDER BY id DESC LIMIT $2",
        conversation_id,
        HISTORY_LIMIT,
    )
    if not rows and not await connection.fetch("SELECT id FROM conversations WHERE id = $1", conversation_id):
        raise NoSuchConversationError(f"there is no conversation {conversation_id}")
    return [Message(*row) for row in reversed(rows)]


async def store_turn(connection: Connection, conversation_id: int | None, said: str, answer: str) -> Reply:
    """Store what the user said and the answer, in a new conversation if there is none yet."""
    async with connection.transaction():
        if conversation_id is None:
            new = await connection.fetch(
                "INSERT INTO conversations (title) VALUES ($1) RETURNING id", said[:80]
            )
            conversation_id = new[0][0]
        insert = "INSERT INTO messages (conversation_id, role, content) VALUES ($1, $2, $3) RETURNING id"
        await connection.fetch(insert, conversation_id, "user", said)
        reply = await connection.fetch(insert, conversation_id, "assistant", answer)
    return Reply(conversation_id, reply[0][0])


async def store_memory(connection: Connection, key: str, text: str) -> int:
    """Store a fact. It is committed when this returns."""
    rows = await connection.fetch("INSERT INTO memories (key, text) VALUES ($1, $2) RETURNING id", key, text)
    return int(rows[0][0])


async def recall(connection: Connection) -> list[str]:
    """The agent's tool: the newest memories, newest first."""
    rows = await connection.fetch("SELECT text FROM memories ORDER BY id DESC LIMIT $1", RECALL_LIMIT)
    return [row[0] for row in rows]
