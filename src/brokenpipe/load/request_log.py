"""The log of requests: every start and every end, with unrounded times.

Locust's own statistics round response times to two digits. This log costs about 2 µs a line: lines are made
by hand (as `history.records` would make them; a test compares) and reach the kernel five times a second.
"""

from __future__ import annotations

import os
import time
from json.encoder import encode_basestring_ascii as quote  # in C; json.dumps costs ten times as much
from pathlib import Path

from brokenpipe.history.records import Clock, End, Lag, Start


class RequestLog:
    """An append-only file with one writer. Whatever raises OSError here is for `flush`'s caller to report."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        clock = Clock(t=time.monotonic_ns(), wall_ns=time.time_ns(), pid=os.getpid(), writer="load")
        self._lines.append(
            f'{{"k":"{clock.KIND}","t":{clock.t},"wall_ns":{clock.wall_ns},"pid":{clock.pid},'
            f'"writer":{quote(clock.writer)}}}\n'
        )
        self.flush()

    def start(self, t_ns: int, arm: str, request_id: str, name: str, key: str | None) -> None:
        named = "null" if key is None else quote(key)
        self._lines.append(
            f'{{"k":"{Start.KIND}","t":{t_ns},"arm":{quote(arm)},"id":{quote(request_id)},'
            f'"name":{quote(name)},"key":{named}}}\n'
        )

    def end(
        self,
        t_ns: int,
        arm: str,
        request_id: str,
        *,
        ms: float,
        status: int,
        failure: str | None,
        error: str | None,
    ) -> None:
        said = "null" if failure is None else f'"{failure}"'
        text = "null" if error is None else quote(error)
        self._lines.append(
            f'{{"k":"{End.KIND}","t":{t_ns},"arm":{quote(arm)},"id":{quote(request_id)},"ms":{ms!r},'
            f'"status":{status},"failure":{said},"error":{text}}}\n'
        )

    def lag(self, t_ns: int, ms: float) -> None:
        self._lines.append(f'{{"k":"{Lag.KIND}","t":{t_ns},"ms":{ms!r}}}\n')

    def flush(self) -> None:
        """Hand everything to the kernel. Raises OSError when the disk refuses it."""
        lines, self._lines = self._lines, []
        data = memoryview("".join(lines).encode())
        while data:
            data = data[os.write(self._fd, data) :]
