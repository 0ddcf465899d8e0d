"""A driver connection's socket: its local port, and whether the other side has ended it.

The kernel is asked without reading a byte, so the driver loses nothing. Bytes that wait on an idle connection do not
mean that it is dead: they may be a notice or a changed setting. A closing peer does (POLLRDHUP).
"""

from __future__ import annotations

import select
import socket
from typing import Any

from brokenpipe_witness import system_calls

_CLOSING: int = getattr(select, "POLLRDHUP", 0)  # Linux only
_ENDED = select.POLLHUP | select.POLLERR | select.POLLNVAL | _CLOSING
# A socket that was alive so recently is not asked again: SQLAlchemy and the driver take as long from the beginning of
# a statement to its first byte, in which the connection may die just as well.
RECENT_NS = 500_000


class _Polls(dict[int, "select.poll"]):
    """A poll object for each descriptor: to make one takes as long as to ask it."""

    def __missing__(self, descriptor: int) -> select.poll:
        poll = self[descriptor] = system_calls.poll()
        poll.register(descriptor, select.POLLIN | _CLOSING)
        return poll


_POLLS = _Polls()


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
    if descriptor is None or descriptor < 0:
        return descriptor is not None
    events = _POLLS[descriptor].poll(0)
    return bool(events) and _is_end(events[0][1], descriptor)


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
    own_socket = vars(driver).get("_usock", driver) if hasattr(driver, "__dict__") else driver  # pg8000
    if own_socket is None:
        return -1
    if own_socket is not driver:
        return int(own_socket.fileno())
    fileno = getattr(driver, "fileno", None)
    return fileno() if fileno is not None else None


def _is_end(event: int, descriptor: int) -> bool:
    """True if what poll saw is an end. Without POLLRDHUP, waiting bytes may be one too."""
    return bool(event & _ENDED) or (not _CLOSING and _peeks_at_the_end(descriptor))


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
