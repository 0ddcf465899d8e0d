"""A request of an ASGI application, whatever the server."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from typing import Any

from brokenpipe_witness import event_loop
from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.patching import Method
from brokenpipe_witness.request_context import CURRENT_REQUEST, RequestContext
from brokenpipe_witness.requests import lifecycle
from brokenpipe_witness.safe_call import never_raises

_REQUEST_ID = b"x-request-id"


def instrumented(app: Method, library: str) -> Method:
    """`app`, whose requests are recorded as those that `library` serves. One that is instrumented stays as it is."""
    if getattr(app, "is_instrumented", False):
        return app

    async def instrumented(scope: Any, receive: Any, send: Any) -> None:
        request = _begin(scope, library)
        if request is None:
            await app(scope, receive, _count_accepted(send) if scope["type"] == "websocket" else send)
            return
        receiving, sending = _wrap_channels(request, receive, send)
        token = CURRENT_REQUEST.set(request)
        try:
            await app(scope, receiving, sending)
        except BaseException as error:
            lifecycle.finish(request, error)
            raise
        else:
            lifecycle.finish(request, None)
        finally:
            CURRENT_REQUEST.reset(token)

    instrumented.is_instrumented = True  # type: ignore[attr-defined]
    return instrumented


def _count_accepted(send: Method) -> Method:
    """A wrapper of a WebSocket's channel, which records that the application has accepted it."""

    def sending(message: Any) -> Awaitable[None]:
        if message["type"] == "websocket.accept":
            _record_websocket()
        return send(message)  # type: ignore[no-any-return]

    return sending


@never_raises
def _record_websocket() -> None:
    write({"k": "websocket", "t": now(), "pid": os.getpid()})


def _wrap_channels(request: RequestContext, receive: Method, send: Method) -> tuple[Method, Method]:
    """Wrappers of the request's two channels, which record what goes over them."""

    async def receiving() -> Any:
        message = await receive()
        if (
            message["type"] == "http.disconnect"
            and not request.response_complete
            and request.client_left_ns is None
        ):
            request.client_left_ns = now()
        return message

    def sending(message: Any) -> Awaitable[None]:
        # Not a coroutine around the server's own: what it sends is recorded, and that one is awaited.
        kind = message["type"]
        # The first start counts: the server refuses a second one, of an error handler that comes too late.
        if kind == "http.response.start" and request.status is None:
            request.status = message["status"]
            request.response_began_ns = now()
        elif kind == "http.response.body" and not message.get("more_body"):
            request.response_complete = True
        return send(message)  # type: ignore[no-any-return]

    return receiving, sending


@never_raises
def _begin(scope: Any, library: str) -> RequestContext | None:
    """The context of a request to record; None: not recorded."""
    if scope["type"] == "http":
        for name, value in scope["headers"]:
            if name == _REQUEST_ID:
                event_loop.monitor()
                return lifecycle.begin(str(value, "latin-1"), scope["method"], scope["path"], library)
    return None
