"""Free ports on the loopback, ports that stay ours, and waiting for something to answer there."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")

Address = tuple[str, int]  # host and port

LOOPBACK = "127.0.0.1"
LOWEST_PORT, MIN_PORTS = 10_240, 5_000  # above what is usually installed; fewer would soon be used up
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
START_ATTEMPTS = 3  # of a server on a free port of ours, while strangers keep taking it first

_given_ports: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on at this moment, and never the same one twice.

    The caller may, rarely, lose a race against another program: see `is_taken`. Ports that the kernel gives to outgoing
    connections are left out where that is known: with hundreds of those, one of them wins such a race now and then.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, _candidate()))
            port: int = probe.getsockname()[1]
            if port not in _given_ports:  # another caller may not have bound it yet
                _given_ports.add(port)
                return port


def _candidate() -> int:
    """A port to try; 0: one that the kernel chooses."""
    below = ephemeral_ports().start - LOWEST_PORT
    return LOWEST_PORT + secrets.randbelow(below) if below >= MIN_PORTS else 0


@cache
def ephemeral_ports() -> range:
    """The ports that outgoing connections get here. Empty where that is not known."""
    with suppress(OSError, ValueError):
        low, high = map(int, _EPHEMERAL_RANGE.read_text(encoding="ascii").split())
        return range(low, high + 1)
    return range(0)


def is_taken(port: int) -> bool:
    """Whether a listener is on that port now. Remains of earlier connections do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


class Port(Protocol):
    """A port for a listener of ours, which no other program can take while it does not listen."""

    port: int

    def allow_listener(self) -> AbstractContextManager[None]:
        """Allow a listener to bind it, for as long as the block lasts."""

    def release(self) -> None:
        """Give it up. May be called again."""


class ReservedPort:
    """A port of the loopback that stays ours without a listener: connects are refused, other programs cannot bind it.

    It is held by a socket that is bound and never listens. On Linux a server of ours may listen there all the same
    if both sockets allow it at the moment of its bind (SO_REUSEADDR, which Go's listeners have): see `allow_listener`.
    Elsewhere that cannot be, and the port is merely one that was free.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        if sys.platform == "linux":
            self._allow(True)  # it must have been so when the port was first bound
            self._socket.bind((LOOPBACK, 0))
            self.port: int = self._socket.getsockname()[1]
            self._allow(False)
        else:
            self.port = free_port()

    @contextmanager
    def allow_listener(self) -> Iterator[None]:
        """Allow a listener to bind it, for as long as the block lasts."""
        self._allow(True)
        try:
            yield
        finally:
            self._allow(False)

    def release(self) -> None:
        """Give it up. May be called again."""
        self._socket.close()

    def _allow(self, yes: bool) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(yes))


class ContainerPort:
    """A port in a container of ours: no other program is in there to take it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def allow_listener(self) -> AbstractContextManager[None]:
        return nullcontext()

    def release(self) -> None:
        pass


def poll(attempt: Callable[[], T | None], *, timeout_s: float, every_s: float = 0.02) -> T | None:
    """The first result of `attempt` that is not None, or None after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (result := attempt()) is None and time.monotonic() < deadline:
        time.sleep(every_s)
    return result
