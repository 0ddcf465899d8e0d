"""The log of requests: every end, and every start whose end is not there yet, with unrounded times.

Locust's own statistics round response times to two digits. This log costs about 2 µs a request: lines are made
by hand (as `history.records` would make them; a test compares) and reach the kernel five times a second. An end says
all that its start says, so only requests that are under way at such a moment have a line for their start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quote  # in C; json.dumps costs ten times as much
from pathlib import Path
from typing import Protocol

from brokenpipe.history.file_names import LARGE_BYTES, segment
from brokenpipe.history.records import Clock, End, Lag, Late, Missed, Start

_END = f'{{"k":"{End.KIND}","t0":'


class Request(Protocol):
    """What the log says of a request. `begun`: its start is in the log."""

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
    def begun(self) -> bool: ...


class RequestLog:
    """An append-only file with one writer, in segments. What raises OSError here is for `flush`'s caller to report.

    `send` takes the lines instead, and in which segment they belong, where somebody else is to write them down.
    """

    def __init__(self, path: Path, send: Callable[[bytes, int], None] | None = None) -> None:
        self.path = path
        self._send = send
        self._lines: list[str] = []
        self._rows: dict[tuple[str, str], str] = {}  # arm and name as they stand in a line
        self._segment, self._size = 1, 0
        self._open(path)

    def _open(self, path: Path) -> None:
        if not self._send:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        clock = Clock(t=time.monotonic_ns(), wall_ns=time.time_ns(), pid=os.getpid(), writer="load")
        self._lines.append(
            f'{{"k":"{clock.KIND}","t":{clock.t},"wall_ns":{clock.wall_ns},"pid":{clock.pid},'
            f'"writer":{quote(clock.writer)}}}\n'
        )
        self.flush()

    def start(self, request: Request) -> None:
        """That it was sent. Its end may never come."""
        key = "null" if request.key is None else quote(request.key)
        self._lines.append(
            f'{{"k":"{Start.KIND}","t":{request.start_ns},"arm":{quote(request.arm)},"id":{quote(request.id)},'
            f'"name":{quote(request.name)},"key":{key}}}\n'
        )

    def end(self, request: Request, ms: float, status: int, rest: str = "") -> None:
        """A success, unless `rest` says otherwise. What is not the case is left out: millions of lines are alike."""
        place = request.arm, request.name
        row = self._rows.get(place)
        if row is None:
            row = self._rows[place] = f'"arm":{quote(request.arm)},"name":{quote(request.name)}'
        if request.begun:
            rest = f',"begun":true{rest}'
        if request.key is not None:
            rest = f',"key":{quote(request.key)}{rest}'
        self._lines.append(
            f'{_END}{request.start_ns},{row},"id":{quote(request.id)},"ms":{ms:.3f},"status":{status}{rest}}}\n'
        )

    def failed_end(self, request: Request, ms: float, status: int, failure: str, error: str) -> None:
        """That it failed: `failure` is its kind, `error` its text. `status` is 0 without an answer."""
        self.end(request, ms, status, f',"failure":"{failure}","error":{quote(error)}')

    def lag(self, t_ns: int, ms: float) -> None:
        """By how much the event loop woke late at that moment."""
        self._lines.append(f'{{"k":"{Lag.KIND}","t":{t_ns},"ms":{ms!r}}}\n')

    def late(self, due_ns: int, arm: str, request_id: str, ms: float) -> None:
        """By how much an arrival that was due at `due_ns` began late."""
        self._lines.append(
            f'{{"k":"{Late.KIND}","t":{due_ns},"arm":{quote(arm)},"id":{quote(request_id)},"ms":{ms!r}}}\n'
        )

    def missed(self, due_ns: int, arm: str) -> None:
        """An arrival that was due then and never began."""
        self._lines.append(f'{{"k":"{Missed.KIND}","t":{due_ns},"arm":{quote(arm)}}}\n')

    def close(self) -> None:
        """What was flushed is kept; nothing may be flushed any more."""
        if not self._send:
            os.close(self._fd)

    def flush(self) -> None:
        """Hand everything to the kernel. Raises OSError when the disk refuses it."""
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
            self._go_on()

    def _go_on(self) -> None:
        """Close this file for good and open the next."""
        self.close()
        self._segment, self._size = self._segment + 1, 0
        self._open(segment(self.path, self._segment))
