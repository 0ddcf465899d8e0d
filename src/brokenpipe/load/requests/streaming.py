"""Watching the body of a streamed response, whichever way the locustfile reads it.

Both clients of Locust return their response before the body is read and look no further. The class of the
response is exchanged for one that tells the flight about every read; Locust itself does the same to make a
requests.Response its own. Seen are: geventhttpclient's body by every way there is; requests' response by
everything but `response.raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gevent import GreenletExit
from geventhttpclient.response import HTTPSocketPoolResponse
from locust.clients import ResponseContextManager
from locust.contrib.fasthttp import FastResponse

from brokenpipe.load.requests.tracked_request import Flight


def watch(response: Any, flight: Flight) -> None:
    """Tell the flight how the body of this response ends."""
    if not response.status_code:  # there was no answer, so there is no body
        flight.body_ended()
    elif isinstance(response, FastResponse):
        body = response._response
        if body is None or body.message_complete:
            flight.body_ended()
        else:
            body.__class__ = _Body
            body.flight = flight  # type: ignore[attr-defined]
    elif isinstance(response, ResponseContextManager):
        response.__class__ = _Response
        response.flight = flight  # type: ignore[attr-defined]


class _Body(HTTPSocketPoolResponse):
    """A body of geventhttpclient that is being watched."""

    flight: Flight
    _reading = False

    def read(self, length: int | None = None) -> bytes:
        return self._watched(super().read, length)

    def readline(self, sep: bytes = b"\r\n") -> bytes:
        return self._watched(super().readline, sep)

    def release(self) -> None:
        super().release()
        if not self._reading and not self.message_complete:
            self.flight.body_closed()

    def _watched(self, read: Callable[[Any], bytes], argument: object) -> bytes:
        self._reading = True
        try:
            data = read(argument)
        except GreenletExit:  # the run ends: nobody cut the body
            raise
        except BaseException as error:  # gevent's Timeout is not an Exception
            self.flight.body_ended(error)
            raise
        finally:
            self._reading = False
        if self.message_complete:
            self.flight.body_ended()
        else:
            self.flight.read_some()
        return data


class _Response(ResponseContextManager):
    """A response of requests that is being watched: `content`, `text` and `iter_lines` use `iter_content`."""

    flight: Flight

    def iter_content(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            for chunk in super().iter_content(*args, **kwargs):
                self.flight.read_some()
                yield chunk
        except GreenletExit:  # the run ends: nobody cut the body
            raise
        except GeneratorExit:
            self.flight.body_closed()
            raise
        except BaseException as error:  # gevent's Timeout is not an Exception
            self.flight.body_ended(error)
            raise
        self.flight.body_ended()

    def close(self) -> None:
        super().close()
        self.flight.body_closed()
