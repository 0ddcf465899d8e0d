"""The request log: every end, and every start whose end is not there yet, with unrounded times.

Locust's own statistics round response times to two digits. This log costs about 2 µs a request: lines are made
by hand (as `history.records` would make them; a test compares) and reach the kernel five times a second. An end has
all that its start has, so only requests in flight at such a moment have a line for their start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quote  # in C; json.dumps costs ten times as much
from pathlib import Path
from typing import Literal, Protocol

from brokenpipe.history.file_names import LARGE_BYTES, segment_file
from brokenpipe.history.records import (
    NEVER_SENT,
    ArrivalLate,
    ArrivalMissed,
    Clock,
    LoopLag,
    RequestEnd,
    RequestStart,
)

_END = f'{{"k":"{RequestEnd.KIND}","t0":'


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """`kind` as in `history.records.End`."""

    kind: Literal["status", "transport", "timeout", "declared", "no_files", "no_ports", "no_memory"]
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
        self._arms_and_names: dict[tuple[str, str], str] = {}  # arm and name, as JSON
        self._segment, self._size = 1, 0
        self._open(path)

    def _open(self, path: Path) -> None:
        if not self._send:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        clock = Clock(t=time.monotonic_ns(), wall_ns=time.time_ns(), pid=os.getpid(), writer="load")
        self._lines.append(
            f'{{"k":"{clock.KIND}","t":{clock.t},"wall_ns":{clock.wall_ns},"pid":{clock.pid},'
            f'"writer":{quote(clock.writer)},"format":{clock.format}}}\n'
        )
        self.flush()

    def start(self, request: LoggedRequest) -> None:
        """Append the start of a request. Its end may never come."""
        key = "null" if request.key is None else quote(request.key)
        self._lines.append(
            f'{{"k":"{RequestStart.KIND}","t":{request.start_ns},"arm":{quote(request.arm)},"id":{quote(request.id)},'
            f'"name":{quote(request.name)},"key":{key}}}\n'
        )

    def end(self, request: LoggedRequest, ms: float, status: int, rest: str = "") -> None:
        """Append the end of a request: a success, unless `rest` has a failure. Default values are left out."""
        arm_and_name = request.arm, request.name
        row = self._arms_and_names.get(arm_and_name)
        if row is None:
            row = self._arms_and_names[arm_and_name] = (
                f'"arm":{quote(request.arm)},"name":{quote(request.name)}'
            )
        if request.start_logged:
            rest = f',"begun":true{rest}'
        if request.key is not None:
            rest = f',"key":{quote(request.key)}{rest}'
        self._lines.append(
            f'{_END}{request.start_ns},{row},"id":{quote(request.id)},"ms":{ms:.3f},"status":{status}{rest}}}\n'
        )

    def failed_end(self, request: LoggedRequest, ms: float, status: int, failure: str, error: str) -> None:
        """Append the end of a failed request: `failure` is its kind, `error` its text, `status` 0 without an answer."""
        self.end(request, ms, status, f',"failure":"{failure}","error":{quote(error)}')

    def lag(self, t_ns: int, ms: float) -> None:
        """Append by how much the event loop woke late at that moment."""
        self._lines.append(f'{{"k":"{LoopLag.KIND}","t":{t_ns},"ms":{ms!r}}}\n')

    def late(self, due_ns: int, arm: str, request_id: str, ms: float) -> None:
        """Append by how much an arrival that was due at `due_ns` began late."""
        self._lines.append(
            f'{{"k":"{ArrivalLate.KIND}","t":{due_ns},"arm":{quote(arm)},"id":{quote(request_id)},"ms":{ms!r}}}\n'
        )

    def missed(self, due_ns: int, arm: str) -> None:
        """Append an arrival that was due at `due_ns` and never began."""
        self._lines.append(f'{{"k":"{ArrivalMissed.KIND}","t":{due_ns},"arm":{quote(arm)}}}\n')

    def close(self) -> None:
        """Close the file. Nothing may be flushed afterwards."""
        if not self._send:
            os.close(self._fd)

    def flush(self) -> None:
        """Hand all lines to the kernel. Raises OSError when the disk refuses them."""
        lines, self._lines = self._lines, []
        data = "".join(lines).encode()
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
