"""A plain TCP client, without a driver or a pool: bytes received, and how the connection ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from brokenpipe.faults import SocketEffect

Address = tuple[str, int]

CONNECT_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """What was seen, and when, on the clock of time.monotonic_ns."""

    seen: SocketEffect
    t_ns: int


@dataclass(frozen=True, slots=True)
class OwnSocket:
    """A connection of ours: its port, and a moment before it was opened, on the clock of time.monotonic_ns."""

    port: int
    before_ns: int


_noted: ContextVar[list[OwnSocket] | None] = ContextVar("noted", default=None)


@contextmanager
def noting_own_sockets(into: list[OwnSocket]) -> Iterator[None]:
    """Note each connection that this thread opens in the block, so that it can be told from those of others."""
    token = _noted.set(into)
    try:
        yield
    finally:
        _noted.reset(token)


def connect(address: Address, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    """An open connection that sends small messages at once. Raises OSError: TimeoutError if there is no answer."""
    before_ns = time.monotonic_ns()
    connection = socket.create_connection(address, timeout=timeout_s)
    if (noted := _noted.get()) is not None:
        noted.append(OwnSocket(connection.getsockname()[1], before_ns))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection: socket.socket, until_ns: int) -> bytes | SocketEvent | None:
    """Bytes, the end of the connection, or None by `until_ns`, whichever comes first.

    Raises OSError for errors of the system: no route, or a given-up retransmission (ETIMEDOUT).
    """
    left_ns = until_ns - time.monotonic_ns()
    try:
        connection.settimeout(max(left_ns, 1) / 1e9)
        received = connection.recv(65_536)
    except TimeoutError as error:
        if error.errno is not None:  # the system's, not ours
            raise
        return None
    except ConnectionError as error:
        return event_of_error(error)
    return received or SocketEvent("eof", time.monotonic_ns())


def event_of_error(error: ConnectionError) -> SocketEvent:
    """The end of a connection that an error of a read or a write shows, with the time of now.

    An RST is reported once, as ECONNRESET, by the next call; later reads return EOF. A write after a FIN fails with
    EPIPE. So "broken pipe" is an orderly end that the writer had not read.
    """
    return SocketEvent("eof" if isinstance(error, BrokenPipeError) else "reset", time.monotonic_ns())


def wait_for_end(connection: socket.socket, until_ns: int) -> SocketEvent | None:
    """How the connection ended, or None if it has not by `until_ns`. What arrives before is dropped."""
    while isinstance(received := receive(connection, until_ns), bytes):
        pass
    return received
