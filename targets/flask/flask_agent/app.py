"""The application: its engine, the session of each request, and the routes."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, abort, current_app, g, request, stream_with_context
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.orm import Session, sessionmaker

from flask_agent import llm
from flask_agent.models import Memory, Message, load_history, prepare, recall, store_turn
from flask_agent.settings import Settings


def create_app() -> Flask:
    """Make the application from the environment. Each worker of gunicorn has one, and an engine of its own."""
    settings = Settings()
    # What was loaded stays readable after a commit, without another query.
    sessions = sessionmaker(_make_engine(settings), expire_on_commit=False)
    with sessions() as session:
        prepare(session)
    app = Flask(__name__)
    app.extensions["settings"], app.extensions["sessions"] = settings, sessions
    app.teardown_appcontext(_close_session)
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/chat", view_func=chat, methods=["POST"])
    app.add_url_rule("/chat/stream", view_func=chat_stream)
    app.add_url_rule("/conversations/<int:conversation_id>", view_func=read_conversation)
    app.add_url_rule("/memories", view_func=remember, methods=["POST"])
    return app


def _make_engine(settings: Settings) -> Engine:
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+psycopg2")
    return create_engine(
        url,
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout=settings.db_pool_timeout,
        pool_pre_ping=settings.db_pool_pre_ping,
        pool_recycle=settings.db_pool_recycle,
    )


def _session() -> Session:
    """The session of this request. It borrows a connection at its first query, until a commit or the end."""
    if "session" not in g:
        g.session = current_app.extensions["sessions"]()
    return g.session  # type: ignore[no-any-return]


def _close_session(_: BaseException | None) -> None:
    if session := g.pop("session", None):
        session.close()


def _settings() -> Settings:
    return current_app.extensions["settings"]  # type: ignore[no-any-return]


def healthz() -> dict[str, str]:
    """Up. It asks the database nothing and takes no connection."""
    return {"status": "ok"}


def chat() -> dict[str, Any]:
    """Answer in one piece."""
    said, conversation_id = _message(request.get_json())
    history = _begin(conversation_id)
    delay = _delay_s()
    answer = f"{''.join(llm.stream(delay, 1))} ({len(history)} messages read)"
    reply = _finish(conversation_id, said, answer)
    return {**_receipt(reply, delay), "answer": reply.content}


def chat_stream() -> Response:
    """Answer in pieces, as server-sent events: several `chunk`, then `done` once the answer is stored."""
    said, conversation_id = _message(request.args)
    # Before the response begins: what goes wrong here can still be answered with a status.
    _begin(conversation_id)
    delay = _delay_s()

    def events() -> Iterator[str]:
        for piece in llm.stream(delay, _settings().agent_stream_chunks):
            yield _event("chunk", {"text": piece})
        reply = _finish(conversation_id, said, llm.ANSWER)
        yield _event("done", _receipt(reply, delay))

    # The request, and so its session, lives until the last event.
    return Response(
        stream_with_context(events()), mimetype="text/event-stream", headers={"Cache-Control": "no-cache"}
    )


def read_conversation(conversation_id: int) -> dict[str, Any]:
    """A plain read."""
    messages = [
        {"id": each.id, "role": each.role, "content": each.content} for each in _history(conversation_id)
    ]
    return {"id": conversation_id, "messages": messages}


def remember() -> tuple[dict[str, Any], int]:
    """Store a memory. A 201 means that it is committed."""
    body = request.get_json()
    memory = Memory(key=body["key"], text=body["text"])
    _session().add(memory)
    _session().commit()
    return {"id": memory.id, "key": memory.key}, 201


def _message(given: Any) -> tuple[str, int | None]:
    """What the user says, and in which conversation; None begins a new one."""
    number = given.get("conversation_id")
    return given["message"], None if number is None else int(number)


def _history(conversation_id: int) -> list[Message]:
    messages = load_history(_session(), conversation_id)
    if messages is None:
        abort(404, f"there is no conversation {conversation_id}")
    return messages


def _begin(conversation_id: int | None) -> list[Message]:
    """Load the history. From here to `_finish` the session keeps its connection, unless hold says query."""
    history = [] if conversation_id is None else _history(conversation_id)
    if request.args.get("hold", _settings().agent_hold) == "query":
        _session().commit()  # gives the connection back; the next query borrows one again
    return history


def _finish(conversation_id: int | None, said: str, answer: str) -> Message:
    """Let the agent use its tool, and store the turn."""
    memories = recall(_session())
    return store_turn(_session(), conversation_id, said, f"{answer} [{len(memories)} memories]")


def _delay_s() -> float:
    return llm.delay_s(request.headers.get("X-Request-ID"), _settings().agent_llm_ms)


def _receipt(reply: Message, delay: float) -> dict[str, Any]:
    return {"conversation_id": reply.conversation_id, "message_id": reply.id, "llm_ms": delay * 1000}


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
