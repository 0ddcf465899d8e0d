"""Tables: conversations, the messages in them, and memories that outlive them; and every query on them."""

from sqlalchemy import ForeignKey, Index, String, Text, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

HISTORY_LIMIT = 10
RECALL_LIMIT = 3
SEED_CONVERSATIONS = 50
LOCK_KEY = 0x666C61736B
"""Of an advisory lock: whoever starts first makes the tables, and the others wait."""


class Base(DeclarativeBase):
    """The mother of all tables."""


class Conversation(Base):
    """A thread of messages between one user and the agent."""

    __tablename__ = "conversations"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))


class Message(Base):
    """One thing said, by the user or by the assistant."""

    __tablename__ = "messages"
    __table_args__ = (Index("newest_messages", "conversation_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    role: Mapped[str] = mapped_column(String(9))
    content: Mapped[str] = mapped_column(Text)


class Memory(Base):
    """A fact worth keeping, under a key that the client chose."""

    __tablename__ = "memories"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), index=True)
    text: Mapped[str] = mapped_column(Text)


def prepare(session: Session) -> None:
    """Create and seed the tables that are missing."""
    session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
    Base.metadata.create_all(session.connection())
    if session.scalars(select(Conversation).limit(1)).first() is None:
        for number in range(1, SEED_CONVERSATIONS + 1):
            title = f"Conversation {number}"
            conversation = Conversation(title=title)
            session.add(conversation)
            session.flush()
            for role in ("user", "assistant"):
                content = f"{role} speaks in {title}"
                session.add(Message(conversation_id=conversation.id, role=role, content=content))
    session.commit()


def load_history(session: Session, conversation_id: int) -> list[Message] | None:
    """The newest messages of a conversation, oldest first; None if there is no such conversation."""
    newest = select(Message).where(Message.conversation_id == conversation_id).order_by(Message.id.desc())
    messages = list(session.scalars(newest.limit(HISTORY_LIMIT)))
    if not messages and session.get(Conversation, conversation_id) is None:
        return None
    return messages[::-1]


def store_turn(session: Session, conversation_id: int | None, said: str, answer: str) -> Message:
    """Store what the user said and the answer, in a new conversation if there is none yet, and commit."""
    if conversation_id is None:
        conversation = Conversation(title=said[:80])
        session.add(conversation)
        session.flush()
        conversation_id = conversation.id
    reply = Message(conversation_id=conversation_id, role="assistant", content=answer)
    session.add_all([Message(conversation_id=conversation_id, role="user", content=said), reply])
    session.commit()
    return reply


def recall(session: Session) -> list[str]:
    """The agent's tool: the newest memories, newest first."""
    return list(session.scalars(select(Memory.text).order_by(Memory.id.desc()).limit(RECALL_LIMIT)))
