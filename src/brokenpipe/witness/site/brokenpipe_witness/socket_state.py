"""A driver connection's socket: its local port, and whether the other side has ended it.

The kernel is asked without reading a byte, so the driver loses nothing. Bytes that wait on an idle connection do not
mean that it is dead: they may be a notice or a changed setting. A closing peer does (POLLRDHUP).
"""

from __future__ import annotations

import select
import socket
from typing import Any

_CLOSING: int = getattr(select, "POLLRDHUP", 0)  # Linux only
_ENDED = select.POLLHUP | select.POLLERR | select.POLLNVAL | _CLOSING


def port(dbapi_connection: Any) -> int | None:
    """The client's port; None for a Unix socket or a driver that does not expose it."""
    driver = _driver(dbapi_connection)
    transport = getattr(driver, "_transport", None)  # asyncpg
    name = transport.get_extra_info("sockname") if transport is not None else _socket_name(driver)
    return name[1] if isinstance(name, tuple) and len(name) > 1 else None


def is_dead(dbapi_connection: Any) -> bool:
    """True when the peer, the network or the driver has already ended this connection."""
    driver = _driver(dbapi_connection)
    is_closed = getattr(driver, "is_closed", None)  # asyncpg, whose transport may have read the end already
    if is_closed is not None and is_closed():
        return True
    descriptor = _descriptor(driver)
    return descriptor is not None and (descriptor < 0 or _has_ended(descriptor))


def _driver(dbapi_connection: Any) -> Any:
    """The driver's connection below SQLAlchemy's adapter, if there is one (asyncpg and async psycopg)."""
    return getattr(dbapi_connection, "driver_connection", dbapi_connection)


def _descriptor(driver: Any) -> int | None:
    """Its file descriptor, -1 if it is closed, None if the driver does not expose it."""
    transport = getattr(driver, "_transport", None)
    if transport is not None:
        its_socket = transport.get_extra_info("socket")
        return its_socket.fileno() if its_socket is not None else -1
    if getattr(driver, "closed", False):  # psycopg and psycopg2
        return -1
    fileno = getattr(driver, "fileno", None)
    return fileno() if fileno is not None else None


def _has_ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | _CLOSING)
    events = poll.poll(0)
    if not events:
        return False
    if events[0][1] & _ENDED:
        return True
    return not _CLOSING and _peeks_at_the_end(descriptor)


def _peeks_at_the_end(descriptor: int) -> bool:
    """True if the next thing to read is the end. For systems without POLLRDHUP (macOS)."""
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=descriptor)
    try:
        return borrowed.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        borrowed.detach()


def _socket_name(driver: Any) -> Any:
    """libpq's socket. It is non-blocking already, so that borrowing it changes nothing about it."""
    descriptor = _descriptor(driver)
    if descriptor is None or descriptor < 0:
        return None
    borrowed = socket.socket(fileno=descriptor)
    try:
        return borrowed.getsockname()
    finally:
        borrowed.detach()
