"""Tools: each is a statement of its own, of which a service has many. The answer says which tool gave it, on what."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from agent.dependencies import SessionDep
from agent.models import Conversation

TOOLS = 4

router = APIRouter()


class ToolOut(BaseModel):
    """What a tool found, in its own words: "tool 7 on Conversation 12"."""

    tool: int
    conversation_id: int
    found: str


@router.get("/tools/{tool}")
async def use_tool(
    tool: Annotated[int, Path(ge=1, le=TOOLS)], conversation_id: int, session: SessionDep
) -> ToolOut:
    """Let one tool look at a conversation."""
    found = await session.run_sync(ask_tool, tool, conversation_id)
    return ToolOut(tool=tool, conversation_id=conversation_id, found=found)


def ask_tool(session: Session, tool: int, conversation_id: int) -> str:
    """Run the tool's statement. Raises 404 if there is no such conversation."""
    # The number stands in the statement, not in its parameters: it is as different as the tools' texts would be, and
    # takes and returns the same types.
    words = text(f"'tool {tool} on ' || conversations.title")
    found = session.execute(select(words).where(Conversation.id == conversation_id)).scalar_one_or_none()
    session.commit()  # gives the connection back before the answer is sent
    if found is None:
        raise HTTPException(404, f"there is no conversation {conversation_id}")
    return str(found)
