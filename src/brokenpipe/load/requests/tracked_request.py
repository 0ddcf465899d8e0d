"""One tracked request: when it counts as ended, and with which outcome.

        ┌─ no stream: the client has the whole response ───────────────────────┐
    start ─ stream: headers ── the body ends, is cut, or is closed on purpose ─┴─▶ end
                          └─ and the verdict is in: Locust's, or the with-block's

Locust's event reports success as soon as the headers of a stream have arrived. The event is held back until the body
has ended; a body that was cut is a failure, in Locust's statistics as well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from gevent import getcurrent

from brokenpipe.load.requests.failures import failure_of, failure_of_exception
from brokenpipe.load.state import LoadState

COUNTED_NOTE = "brokenpipe has counted this as the outcome of its request"  # a note on an exception


class TrackedResponse(Protocol):
    """The part of a response that both clients of Locust have."""

    request_meta: Mapping[str, Any]

    def raise_for_status(self) -> None: ...


class TrackedRequest:
    """A request between its start and its end.

    `answered`: the target will send nothing more. `done`: the end is in the log. `start_logged`: the start is, too,
    which a request that ends soon does not need. `key`: the idempotency key of a write. `tracking_key`: the request's
    key in `LoadState.tracked_requests`. `greenlet`: whose response it is, while its outcome is open.
    """

    __slots__ = (
        "_body_error", "_last_read_ns", "_meta", "_response", "_state",
        "answered", "arm", "done", "greenlet", "id", "key", "name", "start_logged", "start_ns", "stream",
        "tracking_key",
    )  # fmt: skip

    def __init__(
        self, state: LoadState, arm: str, request_id: str, name: str, key: str | None, *, stream: bool
    ) -> None:
        self._state = state
        self.arm = arm
        self.id = request_id
        self.name = name
        self.key = key
        self.tracking_key = f"{request_id} {arm}"
        self.stream = stream
        self.answered = self.start_logged = self.done = False
        self._response: TrackedResponse | None = None
        self._meta: dict[str, Any] | None = None
        self._body_error: BaseException | None = None
        self._last_read_ns = 0
        self.start_ns = time.monotonic_ns()
        state.track(self)

    def accept_verdict(self, meta: dict[str, Any]) -> bool:
        """Take Locust's verdict. True: the verdict is final. False: it waits for the end of the body."""
        if self.stream and not self.answered and meta["exception"] is None and not self._declared_success():
            self._meta = meta
            return False
        self._record_outcome(meta)
        return True

    def response_returned(self, response: TrackedResponse) -> None:
        """The client has returned a response whose outcome is open: a stream, or one in a with-block."""
        self._response = response
        self.greenlet = getcurrent()
        if not self.stream:
            self.answered = True

    def bytes_read(self) -> None:
        """The locustfile has read a part of the body. The last read is the end of the response time."""
        self._last_read_ns = time.monotonic_ns()

    def body_ended(self, error: BaseException | None = None) -> None:
        """The body is complete, or was cut by `error`."""
        if self.answered:
            return
        self.bytes_read()
        if error is not None:
            error.add_note(COUNTED_NOTE)
        self._body_error = error
        self.answered = True
        self._finish_once()

    def body_closed(self) -> None:
        """The locustfile has closed the body: on purpose, unless the end of the run made it."""
        if not self._state.ending:
            self.body_ended()

    def finish_without_verdict(self) -> None:
        """End a request whose user went on without a verdict: an unread stream, an exception in the with-block.

        The outcome is that of the status, or of the cut body. Locust does not count such a with-block, so only cut
        bodies are published to it.
        """
        if self.done:
            return
        silent = self._meta is None
        if silent and self._response is not None:
            self._meta = dict(self._response.request_meta) | {"exception": _status_error(self._response)}
        self._finish_once(silent=silent and self._body_error is None)

    def fail_with(self, error: BaseException) -> None:
        """End a request whose client has raised: an error of the locustfile, which Locust does not count."""
        if not self.done:
            ms = (time.monotonic_ns() - self.start_ns) / 1e6
            self._state.record_end(self, ms, 0, failure_of_exception(error))
            self._mark_done()

    def discard(self) -> None:
        """Stop tracking without an end: the end of the run has killed the user."""
        if not self.done:
            self._state.log_start(self)
            self._mark_done()

    def _mark_done(self) -> None:
        self.done = self.answered = True
        del self._state.tracked_requests[self.tracking_key]

    def _finish_once(self, *, silent: bool = False) -> None:
        if self._meta is not None and not self.done:
            meta = self._meta
            self._record_outcome(meta)
            if not silent:
                self._state.publish(meta)

    def _record_outcome(self, meta: dict[str, Any]) -> None:
        if self._last_read_ns:
            meta["response_time"] = (self._last_read_ns - self.start_ns) / 1e6
        if self._body_error is not None and not self._declared_success():
            meta["exception"] = self._body_error
        response, error = meta["response"], meta["exception"]
        status = response.status_code
        failure = None if error is None else failure_of(error, status, response)
        self._state.record_end(self, meta["response_time"], status, failure)
        self._response = self._meta = None  # both lead back here: no cycles for the garbage collector
        self._mark_done()

    def _declared_success(self) -> bool:
        return getattr(self._response, "_manual_result", None) is True


def _status_error(response: TrackedResponse) -> BaseException | None:
    try:
        response.raise_for_status()
    except Exception as error:  # noqa: BLE001  # whatever it raises is the verdict
        return error
    return response.request_meta["exception"]  # type: ignore[no-any-return]
