"""One request under way: when it counts as ended, and how.

        ┌─ no stream: the client has the whole answer ─────────────────────────┐
    start ─ stream: headers ── the body ends, is cut, or is closed on purpose ─┴─▶ end
                          └─ and the verdict is in: Locust's, or the with-block's

Locust's event says success as soon as the headers of a stream are there. It is held back until the body has
ended; if that was cut, it is a failure, in Locust's statistics as well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gevent import getcurrent

from brokenpipe.load.requests.failures import defect, failure_of

COUNTED = "brokenpipe has counted this as the outcome of its request"  # a note on an exception

if TYPE_CHECKING:
    from brokenpipe.load.state import Tower


class Answer(Protocol):
    """What both clients of Locust return."""

    request_meta: Mapping[str, Any]

    def raise_for_status(self) -> None: ...


class Flight:
    """A request between its start and its end.

    `answered`: nothing more will come from the target. `done`: its end is written. `begun`: its start is, too; one
    that ends soon needs none. `key` is its write's, `mark` the flight's among all that are under way.
    """

    __slots__ = (
        "_answer", "_body_error", "_last_read_ns", "_meta", "_tower",
        "answered", "arm", "begun", "done", "greenlet", "id", "key", "mark", "name", "start_ns", "stream",
    )  # fmt: skip

    def __init__(
        self, tower: Tower, arm: str, request_id: str, name: str, key: str | None, *, stream: bool
    ) -> None:
        self._tower = tower
        self.arm = arm
        self.id = request_id
        self.name = name
        self.key = key
        self.mark = f"{request_id} {arm}"
        self.stream = stream
        self.greenlet = getcurrent()
        self.answered = self.begun = self.done = False
        self._answer: Answer | None = None
        self._meta: dict[str, Any] | None = None
        self._body_error: BaseException | None = None
        self._last_read_ns = 0
        self.start_ns = time.monotonic_ns()
        tower.started(self)

    def report(self, meta: dict[str, Any]) -> bool:
        """Locust's verdict is in. True: it holds. False: it waits for the end of the body."""
        self._meta = meta
        if self.stream and not self.answered and meta["exception"] is None and not self._declared_success():
            return False
        self._finish()
        return True

    def handed_out(self, answer: Answer) -> None:
        """The locustfile has the response now, but its outcome is open: of a stream, or in a with-block."""
        self._answer = answer
        if not self.stream:
            self._answered()

    def read_some(self) -> None:
        self._last_read_ns = time.monotonic_ns()

    def body_ended(self, error: BaseException | None = None) -> None:
        """The body is complete, or was cut by `error`."""
        if self.answered:
            return
        self.read_some()
        if error is not None:
            error.add_note(COUNTED)
        self._body_error = error
        self._answered()
        self._conclude()

    def body_closed(self) -> None:
        """The locustfile wants no more of the body: on purpose, unless the end of the run made it."""
        if not self._tower.ending:
            self.body_ended()

    def abandon(self) -> None:
        """The user went on without a verdict: an unread stream, or an exception that left the with-block.

        It ends by its status, or its cut body. Locust says nothing about such a with-block, so it learns of
        cut bodies only.
        """
        if self.done:
            return
        silent = self._meta is None
        if silent and self._answer is not None:
            self._meta = dict(self._answer.request_meta) | {"exception": _status_error(self._answer)}
        self._conclude(silent=silent and self._body_error is None)

    def failed_by(self, error: BaseException) -> None:
        """The client raised instead of answering: a defect of the locustfile, which Locust does not count."""
        if not self.done:
            ms = (time.monotonic_ns() - self.start_ns) / 1e6
            self._tower.ended(self, ms, 0, defect(error))
            self._over()

    def forget(self) -> None:
        """Strike it off without an end: the user was killed by the end of the run."""
        if not self.done:
            self._tower.note_start(self)
            self._over()

    def _over(self) -> None:
        self.done = True
        del self._tower.flights[self.mark]
        if not self.answered:
            self._answered()

    def _conclude(self, *, silent: bool = False) -> None:
        if self._meta is not None and not self.done:
            meta = self._meta
            self._finish()
            if not silent:
                self._tower.publish(meta)

    def _finish(self) -> None:
        meta = self._meta
        assert meta is not None
        if self._last_read_ns:
            meta["response_time"] = (self._last_read_ns - self.start_ns) / 1e6
        if self._body_error is not None and not self._declared_success():
            meta["exception"] = self._body_error
        response, error = meta["response"], meta["exception"]
        status = response.status_code
        failure = None if error is None else failure_of(error, status, response)
        self._tower.ended(self, meta["response_time"], status, failure)
        self._answer = self._meta = None  # they lead back here: no cycles for the garbage collector
        self._over()

    def _answered(self) -> None:
        if not self.answered:
            self.answered = True
            self._tower.in_flight -= 1

    def _declared_success(self) -> bool:
        return getattr(self._answer, "_manual_result", None) is True


def _status_error(answer: Answer) -> BaseException | None:
    try:
        answer.raise_for_status()
    except Exception as error:  # noqa: BLE001  # whatever it raises is the verdict
        return error
    return answer.request_meta["exception"]  # type: ignore[no-any-return]
