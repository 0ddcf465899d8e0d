"""A request of a WSGI application, whatever the server.

It begins when the server calls the application, and ends when the server closes what that returned:

    app(environ, start_response) ──▶ iterable ──▶ next(), next(), … ──▶ close()

The request is current in each of these calls, and not between them: the thread may do something else then. What is
whole when it is returned (a list, or a file that the server sends) is passed on as it is, because servers treat it
in their own way, and the request has ended.
"""

from __future__ import annotations

from contextvars import Token
from typing import Any

from brokenpipe_witness import pool_sampler
from brokenpipe_witness.ndjson_file import now
from brokenpipe_witness.patching import Method
from brokenpipe_witness.request_context import CURRENT_REQUEST, RequestContext
from brokenpipe_witness.requests import lifecycle
from brokenpipe_witness.safe_call import never_raises


def instrumented(app: Method, library: str) -> Method:
    """`app`, whose requests are recorded as those that `library` serves. One that is instrumented stays as it is."""
    if getattr(app, "is_instrumented", False):
        return app

    def instrumented(environ: Any, start_response: Method) -> Any:
        request = _begin(environ, library)
        if request is None:
            return app(environ, start_response)
        token = CURRENT_REQUEST.set(request)
        try:
            body = app(environ, _wrap_start(request, start_response))
        except BaseException as error:
            request.status = None  # nothing was sent: the server answers
            lifecycle.finish(request, error)
            raise
        finally:
            _leave(token)
        return _wrap_body(request, body, environ)

    instrumented.is_instrumented = True  # type: ignore[attr-defined]
    return instrumented


@never_raises
def _begin(environ: Any, library: str) -> RequestContext | None:
    """The context of a request to record; None: not recorded."""
    request_id = environ.get("HTTP_X_REQUEST_ID")
    if request_id is None:
        return None
    pool_sampler.start_thread()
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    request = lifecycle.begin(request_id, environ["REQUEST_METHOD"], path, library)
    request.thread = None
    return request


@never_raises
def _leave(token: Token[RequestContext | None]) -> None:
    CURRENT_REQUEST.reset(token)


def _wrap_start(request: RequestContext, start_response: Method) -> Method:
    """A wrapper of `start_response`, which records the status, and the exception that an error page is about."""

    def starting(status: str, headers: Any, *exc_info: Any) -> Any:
        write = start_response(status, headers, *exc_info)
        _record_start(request, status, exc_info[0] if exc_info else None)

        def writing(data: bytes) -> Any:
            if request.response_began_ns is None:
                request.response_began_ns = now()
            return write(data)

        return writing

    return starting


@never_raises
def _record_start(request: RequestContext, status: str, exc_info: Any) -> None:
    request.status = int(status[:3])
    if exc_info:
        request.record_answered(exc_info[1])


def _wrap_body(request: RequestContext, body: Any, environ: Any) -> Any:
    """What the server gets instead of `body`."""
    file_wrapper = environ.get("wsgi.file_wrapper")
    is_file = isinstance(file_wrapper, type) and isinstance(body, file_wrapper)
    if is_file or isinstance(body, (list, tuple)):
        _record_sent(request)
        request.response_complete = True
        lifecycle.finish(request, None)
        return body
    return (_SizedWsgiResponse if hasattr(body, "__len__") else _WsgiResponse)(request, body)


def _record_sent(request: RequestContext) -> None:
    if request.response_began_ns is None:
        request.response_began_ns = now()


class _WsgiResponse:
    """The response of one request: the application's own, and the request's end when it is closed."""

    __slots__ = ("_body", "_next", "_raised", "_request")

    def __init__(self, request: RequestContext, body: Any) -> None:
        self._request: RequestContext | None = request
        self._body = body
        self._next: Method | None = None
        self._raised: BaseException | None = None

    def __iter__(self) -> _WsgiResponse:
        return self

    def __next__(self) -> Any:
        request = self._request
        token = CURRENT_REQUEST.set(request)
        try:
            if self._next is None:
                self._next = iter(self._body).__next__
            chunk = self._next()
        except StopIteration:
            self._end_body()
            raise
        except BaseException as error:
            self._raised = error
            raise
        finally:
            _leave(token)
        if chunk and request is not None:
            _record_sent(request)
        return chunk

    def close(self) -> None:
        """Close the application's response, which is over then."""
        token = CURRENT_REQUEST.set(self._request)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._raised = self._raised or error
            raise
        finally:
            _leave(token)
            self._finish()

    def __del__(self) -> None:
        self._finish()  # a server that does not close it

    @never_raises
    def _end_body(self) -> None:
        if self._request is not None:
            _record_sent(self._request)
            self._request.response_complete = True

    @never_raises
    def _finish(self) -> None:
        request, self._request = self._request, None
        raised, self._raised = self._raised, None
        if request is None:
            return
        if raised is not None and request.response_began_ns is None:
            request.status = None  # nothing was sent: the server answers
        elif raised is None and not request.response_complete:
            request.client_left_ns = now()  # the server closed it before its end: nobody listens any more
        lifecycle.finish(request, raised)


class _SizedWsgiResponse(_WsgiResponse):
    """One whose length servers may ask for."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)
