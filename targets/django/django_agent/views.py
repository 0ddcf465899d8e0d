"""The endpoints. They are plain functions: under ASGI, Django runs each in a thread of its own."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import Http404, HttpRequest, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_GET, require_POST

from django_agent import llm
from django_agent.models import Conversation, Memory, Message, load_history, recall, store_turn


@require_GET
def healthz(_: HttpRequest) -> JsonResponse:
    """Up. It asks the database nothing and takes no connection."""
    return JsonResponse({"status": "ok"})


@require_POST
def chat(request: HttpRequest) -> JsonResponse:
    """Answer in one piece."""
    said, conversation_id = _message(json.loads(request.body))
    history = _begin(request, conversation_id)
    delay = _delay_s(request)
    answer = f"{''.join(llm.stream(delay, 1))} ({len(history)} messages read)"
    reply = _finish(conversation_id, said, answer)
    return JsonResponse({**_receipt(reply, delay), "answer": reply.content})


@require_GET
def chat_stream(request: HttpRequest) -> StreamingHttpResponse:
    """Answer in pieces, as server-sent events: several `chunk`, then `done` once the answer is stored."""
    said, conversation_id = _message(request.GET)
    # Before the response begins: what goes wrong here can still be answered with a status.
    _begin(request, conversation_id)
    delay = _delay_s(request)

    def events() -> Iterator[str]:
        for piece in llm.stream(delay, settings.AGENT_STREAM_CHUNKS):
            yield _event("chunk", {"text": piece})
        reply = _finish(conversation_id, said, llm.ANSWER)
        yield _event("done", _receipt(reply, delay))

    return StreamingHttpResponse(
        _in_thread(events()) if isinstance(request, ASGIRequest) else events(),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache"},
    )


@require_GET
def read_conversation(_: HttpRequest, conversation_id: int) -> JsonResponse:
    """A plain read."""
    messages = [
        {"id": each.id, "role": each.role, "content": each.content} for each in _history(conversation_id)
    ]
    return JsonResponse({"id": conversation_id, "messages": messages})


@require_POST
def remember(request: HttpRequest) -> JsonResponse:
    """Store a memory. A 201 means that it is committed."""
    body = json.loads(request.body)
    memory = Memory.objects.create(key=body["key"], text=body["text"])
    return JsonResponse({"id": memory.id, "key": memory.key}, status=201)


async def _in_thread(events: Iterator[str]) -> AsyncIterator[str]:
    """The same events under ASGI, each made in the thread of the request, which has its connection."""
    while (event := await sync_to_async(lambda: next(events, None))()) is not None:
        yield event


def _message(given: Any) -> tuple[str, int | None]:
    """What the user says, and in which conversation; None begins a new one."""
    number = given.get("conversation_id")
    return given["message"], None if number is None else int(number)


def _history(conversation_id: int) -> list[Message]:
    try:
        return load_history(conversation_id)
    except Conversation.DoesNotExist:
        raise Http404(f"there is no conversation {conversation_id}") from None


def _begin(request: HttpRequest, conversation_id: int | None) -> list[Message]:
    """Load the history. From here to `_finish` a pool's connection is kept, unless hold says query."""
    history = [] if conversation_id is None else _history(conversation_id)
    is_pooled = "pool" in connection.settings_dict["OPTIONS"]
    if is_pooled and request.GET.get("hold", settings.AGENT_HOLD) == "query":
        connection.close()  # gives it back; the next query borrows one again
    return history


def _finish(conversation_id: int | None, said: str, answer: str) -> Message:
    """Let the agent use its tool, and store the turn."""
    memories = recall()
    return store_turn(conversation_id, said, f"{answer} [{len(memories)} memories]")


def _delay_s(request: HttpRequest) -> float:
    return llm.delay_s(request.headers.get("X-Request-ID"), settings.AGENT_LLM_MS)


def _receipt(reply: Message, delay: float) -> dict[str, Any]:
    return {"conversation_id": reply.conversation_id, "message_id": reply.id, "llm_ms": delay * 1000}


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
