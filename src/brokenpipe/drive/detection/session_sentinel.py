"""A session of the arm's own role through its proxy, which sees with what message the server ends it.

The sentinel of tcp_sentinel.py has no session: Postgres does not end what it does not know.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from brokenpipe.drive.observers.session_observers import LoginTarget
from brokenpipe.drive.raw_postgres.raw_socket import SocketEvent
from brokenpipe.drive.raw_postgres.session import pg_session
from brokenpipe.faults import SocketEffect

_LIFE_S = 3600.0  # an episode lasts no longer


class SessionSentinel:
    """An open, idle session. A thread waits for its end and records the time."""

    def __init__(self, target: LoginTarget) -> None:
        """Raises OSError: LoginFailedError if the other side opens no session."""
        self._closing = ExitStack()
        self._session = self._closing.enter_context(pg_session(target.address, target.login))
        self._ended = threading.Event()
        self._event: SocketEvent | OSError | None = None
        self._reader = threading.Thread(target=self._read_until_end, name="session sentinel", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.shut_down()
        self._reader.join()
        self._closing.close()

    def end(self, timeout_s: float) -> tuple[SocketEffect, int]:
        """How it ended within that time, and when (time.monotonic_ns); `alive` if it has not.

        Raises OSError if the socket failed in another way: that detects no fault.
        """
        if self._ended.wait(timeout_s) and self._event:
            if isinstance(self._event, OSError):
                raise self._event
            return self._event.seen, self._event.t_ns
        return "alive", time.monotonic_ns()

    def _read_until_end(self) -> None:
        try:
            self._event = self._session.wait_closed(time.monotonic_ns() + round(_LIFE_S * 1e9))
        except OSError as error:
            self._event = error
        self._ended.set()
