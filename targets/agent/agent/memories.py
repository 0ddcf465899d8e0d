"""Memories: a write that is acknowledged once it is committed, and the tool that recalls them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, StringConstraints
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from agent.dependencies import SessionDep, SettingsDep
from agent.models import Memory
from agent.settings import Retry

RECALL_LIMIT = 3

router = APIRouter()


class MemoryIn(BaseModel):
    """A fact to keep, under the client's own key."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    text: Annotated[str, StringConstraints(max_length=10_000)]


class MemoryOut(BaseModel):
    """The receipt of a stored memory."""

    id: int
    key: str


@router.post("/memories", status_code=201)
async def remember(body: MemoryIn, session: SessionDep, settings: SettingsDep) -> MemoryOut:
    """Store a memory. A 201 means that it is committed."""
    memory_id = await session.run_sync(store_memory, body, settings.agent_retry)
    return MemoryOut(id=memory_id, key=body.key)


def store_memory(session: Session, given: MemoryIn, retry: Retry) -> int:
    """Store a memory and commit; if its connection ends meanwhile, once more unless `retry` is never."""
    write = _insert_keyed if retry is Retry.KEYED else _insert
    try:
        return write(session, given)
    except DBAPIError as error:
        if retry is Retry.NEVER or not error.connection_invalidated:
            raise
        # Nobody knows whether it was committed. The session gives the dead connection back and takes another.
        session.rollback()
        return write(session, given)


def _insert(session: Session, given: MemoryIn) -> int:
    memory = Memory(key=given.key, text=given.text)
    session.add(memory)
    # Not left to the end of the dependency: that comes after the response, too late to say it failed.
    session.commit()
    return memory.id


def _insert_keyed(session: Session, given: MemoryIn) -> int:
    """Insert it unless it is there: then what is there is the answer."""
    values = {"key": given.key, "text": given.text, "idempotency_key": given.key}
    once = insert(Memory).values(values).on_conflict_do_nothing(index_elements=[Memory.idempotency_key])
    memory_id = session.scalar(once.returning(Memory.id))
    if memory_id is None:
        memory_id = session.scalars(select(Memory.id).where(Memory.idempotency_key == given.key)).one()
    session.commit()
    return memory_id


def recall(session: Session) -> Sequence[str]:
    """The agent's tool: the texts of the newest memories, newest first."""
    newest = select(Memory.text).order_by(Memory.id.desc()).limit(RECALL_LIMIT)
    return session.scalars(newest).all()
