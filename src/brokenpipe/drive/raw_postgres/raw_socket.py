"""What a plain TCP client sees of its connection, without a driver or a pool in between."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from brokenpipe.faults import Seen

Address = tuple[str, int]

CONNECT_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """What was seen, and when, on the clock of time.monotonic_ns."""

    seen: Seen
    t_ns: int


def connect(address: Address, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    """An open connection that sends small messages at once. Raises OSError: TimeoutError if nobody answers."""
    connection = socket.create_connection(address, timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection: socket.socket, until_ns: int) -> bytes | SocketEvent | None:
    """Whatever comes first: bytes, the end of the connection, or nothing until `until_ns`.

    Raises OSError for what the system says of its own: no route, or that it gave up (ETIMEDOUT).
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
    """Which end an error of a read or a write tells of, seen now.

    An RST is told once, as ECONNRESET, by whichever call comes next; after that reads say EOF. Whoever writes
    after a FIN gets EPIPE. So "broken pipe" is an orderly end that the writer had not looked for.
    """
    return SocketEvent("eof" if isinstance(error, BrokenPipeError) else "reset", time.monotonic_ns())


def wait_for_end(connection: socket.socket, until_ns: int) -> SocketEvent | None:
    """How the connection ended, or None if it has not by `until_ns`. What arrives before is dropped."""
    while isinstance(received := receive(connection, until_ns), bytes):
        pass
    return received
