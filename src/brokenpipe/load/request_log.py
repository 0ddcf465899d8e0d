"""The request log: every end, and every start whose end is not there yet, with unrounded times.

Locust's own statistics round response times to two digits. This log costs about 1 µs a request: lines are made
by functions generated from the records (`history/fast_lines.py`), in batches, and reach the kernel five times a second.
An end has all that its start has, so only requests in flight at such a moment have a line for their start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Protocol

from brokenpipe.history.fast_lines import line_maker, rest_maker
from brokenpipe.history.file_names import LARGE_BYTES, segment_file
from brokenpipe.history.records import (
    FORMAT,
    NEVER_SENT,
    ArrivalLate,
    ArrivalMissed,
    Clock,
    FailureKind,
    LoopLag,
    RequestEnd,
    RequestStart,
)

# Lines of as many ends are made at once, so that the processor has the code for it in its cache: a third of the time
# of a line made between two requests. A batch holds up the event loop for some 30 µs, less than one request does.
BATCH = 32

_clock_line = line_maker(Clock)
_start_line = line_maker(RequestStart)
_end_line = line_maker(RequestEnd)
_end_rest = rest_maker(RequestEnd)
_lag_line = line_maker(LoopLag)
_late_line = line_maker(ArrivalLate)
_missed_line = line_maker(ArrivalMissed)


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """Why a request failed, as `RequestEnd` records it."""

    kind: FailureKind
    text: str

    @property
    def sent(self) -> bool:
        """False if the request was never sent, because this process lacks what sending takes."""
        return self.kind not in NEVER_SENT


class LoggedRequest(Protocol):
    """The part of a request that is written to the log. `start_logged`: the start is in the log already."""

    @property
    def start_ns(self) -> int: ...
    @property
    def arm(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str | None: ...
    @property
    def start_logged(self) -> bool: ...


class RequestLog:
    """An append-only file with one writer, in segments. The caller of `flush` reports an OSError.

    With `send` nothing is written here: it gets the lines and the number of their segment.
    """

    def __init__(self, path: Path, send: Callable[[bytes, int], None] | None = None) -> None:
        self.path = path
        self._send = send
        self._lines: list[str] = []
        self._ends: list[tuple[int, str, str, str, float, int, str]] = []  # whose lines are not made yet
        self._segment, self._size = 1, 0
        self._open(path)

    def _open(self, path: Path) -> None:
        if not self._send:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        clock = time.monotonic_ns(), time.time_ns(), os.getpid(), "load", FORMAT
        self._lines.append(_clock_line(*clock))
        self.flush()

    def start(self, request: LoggedRequest) -> None:
        """Append the start of a request. Its end may never come."""
        self._lines.append(_start_line(request.start_ns, request.arm, request.id, request.name, request.key))

    def end(self, request: LoggedRequest, ms: float, status: int) -> None:
        """Append the end of a request that succeeded."""
        if request.start_logged or request.key is not None:
            self._end_with_more(request, ms, status)
        else:
            self._add_end(request, ms, status)

    def failed_end(self, request: LoggedRequest, ms: float, status: int, failure: RequestFailure) -> None:
        """Append the end of a failed request; `status` is 0 without an answer."""
        self._end_with_more(request, ms, status, failure.kind, failure.text)

    def _end_with_more(
        self,
        request: LoggedRequest,
        ms: float,
        status: int,
        failure: FailureKind | None = None,
        error: str | None = None,
    ) -> None:
        begun = True if request.start_logged else None
        rest = _end_rest(key=request.key, begun=begun, failure=failure, error=error)
        self._add_end(request, ms, status, rest)

    def _add_end(self, request: LoggedRequest, ms: float, status: int, rest: str = "") -> None:
        self._ends.append((request.start_ns, request.arm, request.name, request.id, ms, status, rest))
        if len(self._ends) == BATCH:
            self._make_end_lines()

    def _make_end_lines(self) -> None:
        self._lines.extend(starmap(_end_line, self._ends))
        self._ends.clear()

    def lag(self, t_ns: int, ms: float) -> None:
        """Append by how much the event loop woke late at that moment."""
        self._lines.append(_lag_line(t_ns, ms))

    def late(self, due_ns: int, arm: str, request_id: str, ms: float) -> None:
        """Append by how much an arrival that was due at `due_ns` began late."""
        self._lines.append(_late_line(due_ns, arm, request_id, ms))

    def missed(self, due_ns: int, arm: str) -> None:
        """Append an arrival that was due at `due_ns` and never began."""
        self._lines.append(_missed_line(due_ns, arm))

    def close(self) -> None:
        """Close the file. Nothing may be flushed afterwards."""
        if not self._send:
            os.close(self._fd)

    def flush(self) -> None:
        """Hand all lines to the kernel. Raises OSError when the disk refuses them."""
        self._make_end_lines()
        data = "".join(self._lines).encode()
        self._lines.clear()
        self._size += len(data)
        if self._send:
            self._send(data, self._segment)
        else:
            left = memoryview(data)
            while left:
                left = left[os.write(self._fd, left) :]
        if self._size >= LARGE_BYTES:
            self._roll_over()

    def _roll_over(self) -> None:
        """Close this segment and open the next."""
        self.close()
        self._segment, self._size = self._segment + 1, 0
        self._open(segment_file(self.path, self._segment))
