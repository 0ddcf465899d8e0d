"""Conversations: read one, and the two queries every chat needs."""

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.dependencies import SessionDep
from agent.models import Conversation, Message

HISTORY_LIMIT = 10
"""Messages that are read back. A thread may grow without end; reading it must not become slower."""

router = APIRouter()


class MessageOut(BaseModel):
    """A message as a client sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    role: str
    content: str


class ConversationOut(BaseModel):
    """The newest messages of a conversation, oldest first."""

    id: int
    messages: list[MessageOut]


@router.get("/conversations/{conversation_id}")
async def read_conversation(conversation_id: int, session: SessionDep) -> ConversationOut:
    """A plain read."""
    messages = await session.run_sync(load_history, conversation_id)
    return ConversationOut(id=conversation_id, messages=[MessageOut.model_validate(m) for m in messages])


def load_history(session: Session, conversation_id: int) -> list[Message]:
    """Load the newest messages of a conversation, oldest first. Raises 404 if there is none."""
    newest_first = (
        select(Message)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.id.desc())
        .limit(HISTORY_LIMIT)
    )
    messages = list(session.scalars(newest_first))
    # Hardly any conversation is empty: only then is it worth a second query to find out whether it exists.
    if not messages and session.get(Conversation, conversation_id) is None:
        raise HTTPException(404, f"there is no conversation {conversation_id}")
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
