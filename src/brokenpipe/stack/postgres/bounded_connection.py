"""A connection to Postgres with a time limit: a driver alone waits for an answer without end.

    statement ──▶                 a server that is paused
    ◀── shut down, from another thread, after `within_s`: the waiting call raises psycopg.OperationalError

A time limit of the server's own, such as statement_timeout, is paused with it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

CONNECT_TIMEOUT_S = 2  # the shortest that libpq knows; measured: 10 ms
POLL_INTERVAL_S = 0.5

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def connect_bounded(
    dsn: str, *, within_s: float, give_up: Callable[[], bool] = lambda: False, **options: Any
) -> Iterator[Connection]:
    """A connection for as long as the block lasts, and no longer than `within_s` once it is open.

    `give_up` is called now and then: when it returns True, the connection ends at once. `options` are
    psycopg.connect's. Raises psycopg.Error.
    """
    with (
        psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S, **options) as connection,
        _time_limit(connection, within_s, give_up),
    ):
        yield connection


@contextmanager
def _time_limit(connection: Connection, within_s: float, give_up: Callable[[], bool]) -> Iterator[None]:
    # A descriptor of its own: the number of the driver's may belong to another socket by then.
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        closed = threading.Event()

        def enforce() -> None:
            until = time.monotonic() + within_s
            while not closed.wait(min(POLL_INTERVAL_S, within_s)):
                if time.monotonic() >= until or give_up():
                    with suppress(OSError):
                        duplicate.shutdown(socket.SHUT_RDWR)
                    return

        thread = threading.Thread(target=enforce, name="time limit of a connection", daemon=True)
        thread.start()
        try:
            yield
        finally:
            closed.set()
            thread.join()
