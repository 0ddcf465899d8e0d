"""Who says that a request failed, and in which words. Locust has decided already *that* it failed."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import gevent
import requests
import urllib3
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.exception import CatchResponseError, ResponseError

from brokenpipe.history.records import NEVER_SENT

TEXT_LIMIT = 300  # characters of an error's text that are kept

_TIMEOUTS = (
    TimeoutError,
    gevent.Timeout,
    requests.exceptions.Timeout,
    urllib3.exceptions.TimeoutError,
)
_LACKS: Mapping[int, Literal["no_files", "no_ports", "no_memory"]] = {
    errno.EMFILE: "no_files",
    errno.ENFILE: "no_files",
    errno.EADDRNOTAVAIL: "no_ports",
    errno.ENOBUFS: "no_memory",
    errno.ENOMEM: "no_memory",
}
_NO_THREAD = "can't start new thread"  # Python has no error class of its own for it
_BAD_STATUS = (requests.exceptions.HTTPError, LocustBadStatusCode)
_DECLARED = (CatchResponseError, ResponseError)


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` as in `history.records.End`."""

    kind: Literal["status", "transport", "timeout", "declared", "no_files", "no_ports", "no_memory"]
    text: str

    @property
    def sent(self) -> bool:
        """Whether there was a request at all: where this process lacks what sending takes, there was none."""
        return self.kind not in NEVER_SENT


def failure_of(error: BaseException | None, status: int, response: object) -> Failure | None:
    """What Locust's verdict means. None is a success.

    An answer that never came (`status` 0) is never the locustfile's verdict, even if the locustfile or
    Locust's own `rest` found words for it: the response still carries the error itself.
    """
    if error is None:
        return None
    if status == 0:
        error = getattr(response, "error", None) or error
    elif isinstance(error, _DECLARED):
        return Failure("declared", _text(error))
    if isinstance(error, _BAD_STATUS):
        return Failure("status", f"HTTP {status}")  # the original text carries the arm's port
    chain = list(_chain(error))
    if lack := _lack(chain):
        return lack
    if timeouts := [link for link in chain if isinstance(link, _TIMEOUTS)]:
        return Failure("timeout", _text(timeouts[-1]))
    return Failure("transport", _text(chain[1] if hasattr(error, "original") and len(chain) > 1 else error))


def defect(error: BaseException) -> Failure:
    """What an exception means that came out of the client without a verdict of Locust: the locustfile asked
    for something impossible, or set a limit of its own (`gevent.Timeout`).
    """
    return _lack(_chain(error)) or Failure(
        "timeout" if isinstance(error, _TIMEOUTS) else "declared", _text(error)
    )


def failure_of_event(error: BaseException | None) -> Failure | None:
    """What the verdict of the locustfile's own client means, which has no HTTP status."""
    if error is None:
        return None
    if lack := _lack(_chain(error)):
        return lack
    if isinstance(error, _TIMEOUTS):
        return Failure("timeout", _text(error))
    return Failure("transport" if isinstance(error, OSError) else "declared", _text(error))


def _lack(chain: Iterable[BaseException]) -> Failure | None:
    """What this process lacked, if that is why nothing was sent: its own failure, and no service's."""
    for link in chain:
        kind = _LACKS.get(link.errno or 0) if isinstance(link, OSError) else None
        if isinstance(link, MemoryError) or (isinstance(link, RuntimeError) and str(link) == _NO_THREAD):
            kind = "no_memory"
        if kind:
            return Failure(kind, _text(link))
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it; `original` is geventhttpclient's word for a cause."""
    link: BaseException | None = error
    for _ in range(8):  # a cycle would be a defect of someone else's
        if link is None:
            return
        yield link
        link = getattr(link, "original", None) or link.__cause__ or link.__context__


def _text(error: BaseException) -> str:
    message = str(error)
    name = type(error).__name__
    return (f"{name}: {message}" if message else name)[:TEXT_LIMIT]
