"""The application: what lives as long as the process, and the routes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from driver_pools.llm import ANSWER, delay_s, pieces
from driver_pools.pools import Connection, Pool, open_pool
from driver_pools.queries import (
    Message,
    NoSuchConversationError,
    Reply,
    load_history,
    prepare,
    recall,
    store_memory,
    store_turn,
)
from driver_pools.settings import Settings


class ChatIn(BaseModel):
    """What the user says, and in which conversation; None begins a new one."""

    conversation_id: int | None = None
    message: str


class MemoryIn(BaseModel):
    """A fact to keep, under the client's own key."""

    key: str
    text: str


def create_app() -> Starlette:
    """Make the application from the environment."""
    settings = Settings()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_pool(settings) as pool:
            async with pool.connection() as connection:
                await prepare(connection)
            app.state.pool, app.state.settings = pool, settings
            yield

    routes = [
        Route("/healthz", healthz),
        Route("/chat", chat, methods=["POST"]),
        Route("/chat/stream", chat_stream),
        Route("/conversations/{id:int}", read_conversation),
        Route("/memories", remember, methods=["POST"]),
    ]
    handlers = {NoSuchConversationError: _not_found, ValidationError: _unprocessable}
    return Starlette(lifespan=lifespan, routes=routes, exception_handlers=handlers)


class Borrowed:
    """The connection of one chat: kept until the block ends or, with hold=query, until `give_back`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kept = AsyncExitStack()
        self._connection: Connection | None = None

    async def __aenter__(self) -> "Borrowed":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.give_back()

    async def connection(self) -> Connection:
        """The one that is kept, or another."""
        if self._connection is None:
            self._connection = await self._kept.enter_async_context(self._pool.connection())
        return self._connection

    async def give_back(self) -> None:
        """Back into the pool with it, if there is one."""
        self._connection = None
        await self._kept.aclose()


class EventStream(StreamingResponse):
    """A stream of events that keeps something until it is over, also when the client leaves before its first."""

    def __init__(self, events: AsyncIterator[str], kept: AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._kept:
            await super().__call__(scope, receive, send)


async def healthz(_: Request) -> Response:
    """Up. It asks the database nothing and takes no connection."""
    return JSONResponse({"status": "ok"})


async def chat(request: Request) -> Response:
    """Answer in one piece."""
    body = ChatIn.model_validate_json(await request.body())
    async with Borrowed(request.app.state.pool) as borrowed:
        history = await _begin(request, borrowed, body.conversation_id)
        delay = _delay_s(request)
        await asyncio.sleep(delay)
        answer = f"{ANSWER} ({len(history)} messages read)"
        reply = await _finish(borrowed, body.conversation_id, body.message, answer)
    return JSONResponse({**reply._asdict(), "answer": answer, "llm_ms": delay * 1000})


async def chat_stream(request: Request) -> Response:
    """Answer in pieces, as server-sent events: several `chunk`, then `done` once the answer is stored."""
    query = request.query_params
    conversation_id = int(query["conversation_id"]) if "conversation_id" in query else None
    async with AsyncExitStack() as stack:
        borrowed = await stack.enter_async_context(Borrowed(request.app.state.pool))
        # Before the response begins: what goes wrong here can still be answered with a status.
        await _begin(request, borrowed, conversation_id)
        kept = stack.pop_all()
    delay, chunks = _delay_s(request), request.app.state.settings.agent_stream_chunks

    async def events() -> AsyncIterator[str]:
        for piece in pieces(ANSWER, chunks):
            await asyncio.sleep(delay / chunks)
            yield _event("chunk", {"text": piece})
        reply = await _finish(borrowed, conversation_id, query.get("message", ""), ANSWER)
        yield _event("done", {**reply._asdict(), "llm_ms": delay * 1000})

    return EventStream(events(), kept)


async def read_conversation(request: Request) -> Response:
    """A plain read."""
    number = request.path_params["id"]
    async with request.app.state.pool.connection() as connection:
        messages = await load_history(connection, number)
    return JSONResponse({"id": number, "messages": [message._asdict() for message in messages]})


async def remember(request: Request) -> Response:
    """Store a memory. A 201 means that it is committed."""
    body = MemoryIn.model_validate_json(await request.body())
    async with request.app.state.pool.connection() as connection:
        memory_id = await store_memory(connection, body.key, body.text)
    return JSONResponse({"id": memory_id, "key": body.key}, status_code=201)


async def _begin(request: Request, borrowed: Borrowed, conversation_id: int | None) -> list[Message]:
    connection = await borrowed.connection()
    history = [] if conversation_id is None else await load_history(connection, conversation_id)
    if request.app.state.settings.agent_hold == "query":
        await borrowed.give_back()
    return history


async def _finish(borrowed: Borrowed, conversation_id: int | None, said: str, answer: str) -> Reply:
    connection = await borrowed.connection()
    memories = await recall(connection)
    return await store_turn(connection, conversation_id, said, f"{answer} [{len(memories)} memories]")


def _delay_s(request: Request) -> float:
    return delay_s(request.headers.get("x-request-id"), request.app.state.settings.agent_llm_ms)


def _event(name: str, data: dict[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _not_found(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=404)


async def _unprocessable(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=422)
