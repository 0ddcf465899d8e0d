"""Classification of failed requests: the kind of a failure and its text. Locust decides *that* a request failed."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import gevent
import requests
import urllib3
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.exception import CatchResponseError, ResponseError

from brokenpipe.load.request_log import RequestFailure

TEXT_LIMIT = 300  # characters of an error's text that are kept

_TIMEOUTS = (
    TimeoutError,
    gevent.Timeout,
    requests.exceptions.Timeout,
    urllib3.exceptions.TimeoutError,
)
_RESOURCE_ERRNOS: Mapping[int, Literal["no_files", "no_ports", "no_memory"]] = {
    errno.EMFILE: "no_files",
    errno.ENFILE: "no_files",
    errno.EADDRNOTAVAIL: "no_ports",
    errno.ENOBUFS: "no_memory",
    errno.ENOMEM: "no_memory",
}
_NO_THREAD = "can't start new thread"  # Python has no error class of its own for it
_BAD_STATUS = (requests.exceptions.HTTPError, LocustBadStatusCode)
_DECLARED = (CatchResponseError, ResponseError)


def failure_of(error: BaseException | None, status: int, response: object) -> RequestFailure | None:
    """The failure behind Locust's verdict; None is a success.

    Without an answer (`status` 0) a failure is never `declared`, even if the locustfile or Locust's own `rest` has
    replaced the error's text: the response still carries the error itself.
    """
    if error is None:
        return None
    if status == 0:
        error = getattr(response, "error", None) or error
    elif isinstance(error, _DECLARED):
        return RequestFailure("declared", _text(error))
    if isinstance(error, _BAD_STATUS):
        return RequestFailure("status", f"HTTP {status}")  # the original text carries the arm's port
    chain = list(_chain(error))
    if lack := _missing_resource(chain):
        return lack
    if timeouts := [link for link in chain if isinstance(link, _TIMEOUTS)]:
        return RequestFailure("timeout", _text(timeouts[-1]))
    return RequestFailure(
        "transport", _text(chain[1] if hasattr(error, "original") and len(chain) > 1 else error)
    )


def failure_of_exception(error: BaseException) -> RequestFailure:
    """The failure behind an exception that left the client without a verdict of Locust.

    The locustfile asked for something impossible, or set a limit of its own (`gevent.Timeout`).
    """
    return _missing_resource(_chain(error)) or RequestFailure(
        "timeout" if isinstance(error, _TIMEOUTS) else "declared", _text(error)
    )


def failure_of_event(error: BaseException | None) -> RequestFailure | None:
    """The failure behind the verdict of the locustfile's own client, which has no HTTP status."""
    if error is None:
        return None
    if lack := _missing_resource(_chain(error)):
        return lack
    if isinstance(error, _TIMEOUTS):
        return RequestFailure("timeout", _text(error))
    return RequestFailure("transport" if isinstance(error, OSError) else "declared", _text(error))


def _missing_resource(chain: Iterable[BaseException]) -> RequestFailure | None:
    """The failure of this process, not of the service, if it lacked what sending takes."""
    for link in chain:
        kind = _RESOURCE_ERRNOS.get(link.errno or 0) if isinstance(link, OSError) else None
        if isinstance(link, MemoryError) or (isinstance(link, RuntimeError) and str(link) == _NO_THREAD):
            kind = "no_memory"
        if kind:
            return RequestFailure(kind, _text(link))
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes; `original` is geventhttpclient's name for a cause."""
    link: BaseException | None = error
    for _ in range(8):  # another library's exceptions may form a cycle
        if link is None:
            return
        yield link
        link = getattr(link, "original", None) or link.__cause__ or link.__context__


def _text(error: BaseException) -> str:
    message = str(error)
    name = type(error).__name__
    return (f"{name}: {message}" if message else name)[:TEXT_LIMIT]
