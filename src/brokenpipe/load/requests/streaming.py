"""Tracking the body of a streamed response, whichever way the locustfile reads it.

Both clients of Locust return a response before its body is read, and do not look at the body. So the class of the
response is exchanged for a subclass that reports every read to the tracked request; Locust itself does the same with
requests.Response. Covered: every way to read geventhttpclient's body, and every way to read a response of requests
but `response.raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gevent import GreenletExit
from geventhttpclient.response import HTTPSocketPoolResponse
from locust.clients import ResponseContextManager
from locust.contrib.fasthttp import FastResponse

from brokenpipe.load.requests.tracked_request import TrackedRequest


def track_body(response: Any, tracked: TrackedRequest) -> None:
    """Report to `tracked` how the body of this response ends."""
    if not response.status_code:  # there was no answer, so there is no body
        tracked.body_ended()
    elif isinstance(response, FastResponse):
        body = response._response
        if body is None or body.message_complete:
            tracked.body_ended()
        else:
            body.__class__ = _TrackedBody
            body.tracked = tracked  # type: ignore[attr-defined]
    elif isinstance(response, ResponseContextManager):
        response.__class__ = _StreamedResponse
        response.tracked = tracked  # type: ignore[attr-defined]


class _TrackedBody(HTTPSocketPoolResponse):
    """A body of geventhttpclient that reports its reads and its end."""

    tracked: TrackedRequest
    _reading = False

    def read(self, length: int | None = None) -> bytes:
        return self._read_with(super().read, length)

    def readline(self, sep: bytes = b"\r\n") -> bytes:
        return self._read_with(super().readline, sep)

    def release(self) -> None:
        super().release()
        if not self._reading and not self.message_complete:
            self.tracked.body_closed()

    def _read_with(self, read: Callable[[Any], bytes], argument: object) -> bytes:
        self._reading = True
        try:
            data = read(argument)
        except GreenletExit:  # the end of the run, not a cut body
            raise
        except BaseException as error:  # gevent's Timeout is not an Exception
            self.tracked.body_ended(error)
            raise
        finally:
            self._reading = False
        if self.message_complete:
            self.tracked.body_ended()
        else:
            self.tracked.bytes_read()
        return data


class _StreamedResponse(ResponseContextManager):
    """A response of requests that reports its reads and its end. `content`, `text`, `iter_lines` use `iter_content`."""

    tracked: TrackedRequest

    def iter_content(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            for chunk in super().iter_content(*args, **kwargs):
                self.tracked.bytes_read()
                yield chunk
        except GreenletExit:  # the end of the run, not a cut body
            raise
        except GeneratorExit:
            self.tracked.body_closed()
            raise
        except BaseException as error:  # gevent's Timeout is not an Exception
            self.tracked.body_ended(error)
            raise
        self.tracked.body_ended()

    def close(self) -> None:
        super().close()
        self.tracked.body_closed()
