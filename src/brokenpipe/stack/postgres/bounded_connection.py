"""A connection to Postgres that is over when its time is: a driver waits for an answer for as long as there is none.

    statement ──▶                 a server that stands still
    ◀── shut down, from another thread, after `within_s`: whoever waits gets psycopg.OperationalError

A time limit of the server's own, such as statement_timeout, stands still with it.
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

CONNECT_TIMEOUT_S = 2  # the least that libpq knows; measured: 10 ms
POLL_INTERVAL_S = 0.5

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def connect_bounded(
    dsn: str, *, within_s: float, in_vain: Callable[[], bool] = lambda: False, **options: Any
) -> Iterator[Connection]:
    """A connection for as long as the block lasts, and no longer than `within_s` once it is open.

    `in_vain` is asked now and then: if so, it is over at once. `options` are psycopg.connect's. Raises psycopg.Error.
    """
    with (
        psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S, **options) as connection,
        _time_limit(connection, within_s, in_vain),
    ):
        yield connection


@contextmanager
def _time_limit(connection: Connection, within_s: float, in_vain: Callable[[], bool]) -> Iterator[None]:
    # A descriptor of its own: the number of the driver's may belong to another socket by then.
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        over = threading.Event()

        def guard() -> None:
            until = time.monotonic() + within_s
            while not over.wait(min(POLL_INTERVAL_S, within_s)):
                if time.monotonic() >= until or in_vain():
                    with suppress(OSError):
                        same.shutdown(socket.SHUT_RDWR)
                    return

        thread = threading.Thread(target=guard, name="time limit of a connection", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
