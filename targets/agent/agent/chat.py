"""Chat: load the history, ask the language model, let it use its tool, store the answer."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, StringConstraints
from sqlalchemy.orm import Session

from agent.conversations import load_history, store_turn
from agent.dependencies import LLMDep, RequestId, SessionDep, SettingsDep
from agent.memories import recall
from agent.models import Message
from agent.settings import Hold

router = APIRouter()

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
QueryText = Annotated[str, Query(min_length=1, max_length=4000)]


class ChatIn(BaseModel):
    """What the user says, and in which conversation; None begins a new one."""

    conversation_id: int | None = None
    message: Text


class ChatOut(BaseModel):
    """The answer, where it was stored, and how long the language model took."""

    conversation_id: int
    message_id: int
    answer: str
    llm_ms: float


@router.post("/chat")
async def chat(
    *,
    body: ChatIn,
    session: SessionDep,
    settings: SettingsDep,
    llm: LLMDep,
    request_id: RequestId = None,
    hold: Hold | None = None,
) -> ChatOut:
    """Answer in one piece."""
    history = await session.run_sync(_begin, body.conversation_id, hold or settings.agent_hold)
    delay_s = llm.delay_s(request_id)
    answer = await llm.complete(_prompt(history, body.message), delay_s)
    reply = await session.run_sync(_finish, body.conversation_id, body.message, answer)
    return ChatOut(
        conversation_id=reply.conversation_id,
        message_id=reply.id,
        answer=reply.content,
        llm_ms=delay_s * 1000,
    )


@router.get("/chat/stream")
async def chat_stream(
    *,
    message: QueryText,
    session: SessionDep,
    settings: SettingsDep,
    llm: LLMDep,
    conversation_id: int | None = None,
    request_id: RequestId = None,
    hold: Hold | None = None,
) -> StreamingResponse:
    """Answer in pieces, as server-sent events: several `chunk`, then `done` once the answer is stored."""
    # Before the response begins: what goes wrong here can still be answered with a status.
    history = await session.run_sync(_begin, conversation_id, hold or settings.agent_hold)
    delay_s = llm.delay_s(request_id)
    chunks = llm.stream(_prompt(history, message), delay_s, settings.agent_stream_chunks)

    async def events() -> AsyncIterator[str]:
        said: list[str] = []
        async for chunk in chunks:
            said.append(chunk)
            yield _event("chunk", {"text": chunk})
        reply = await session.run_sync(_finish, conversation_id, message, "".join(said))
        receipt = {"conversation_id": reply.conversation_id, "message_id": reply.id, "llm_ms": delay_s * 1000}
        yield _event("done", receipt)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _begin(session: Session, conversation_id: int | None, hold: Hold) -> list[Message]:
    """Load the history. From here to `_finish` the session keeps its connection, unless hold says query."""
    history = [] if conversation_id is None else load_history(session, conversation_id)
    if hold is Hold.QUERY:
        # The end of the transaction gives the connection back; the next query borrows one again.
        session.commit()
    return history


def _finish(session: Session, conversation_id: int | None, said: str, answer: str) -> Message:
    """Let the agent use its tool, and store the turn."""
    memories = recall(session)
    return store_turn(session, conversation_id, said, f"{answer} [{len(memories)} memories]")


def _prompt(history: list[Message], message: str) -> str:
    return "\n".join([*(f"{m.role}: {m.content}" for m in history), f"user: {message}"])


def _event(name: str, data: Mapping[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
