"""Memories: a write that is acknowledged once it is committed, and the tool that recalls them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.dependencies import SessionDep
from agent.models import Memory

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
async def remember(body: MemoryIn, session: SessionDep) -> MemoryOut:
    """Store a memory. A 201 means that it is committed."""
    memory = await session.run_sync(store_memory, body)
    return MemoryOut(id=memory.id, key=memory.key)


def store_memory(session: Session, given: MemoryIn) -> Memory:
    """Store a memory and commit."""
    memory = Memory(key=given.key, text=given.text)
    session.add(memory)
    # Not left to the end of the dependency: that comes after the response, too late to say it failed.
    session.commit()
    return memory


def recall(session: Session) -> Sequence[str]:
    """The agent's tool: the texts of the newest memories, newest first."""
    newest = select(Memory.text).order_by(Memory.id.desc()).limit(RECALL_LIMIT)
    return session.scalars(newest).all()
