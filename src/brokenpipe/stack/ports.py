"""Free ports on the loopback, and waiting for something to answer there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
START_ATTEMPTS = 3  # of a server on a free port of ours, while strangers keep taking it first

_handed_out: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on at this moment, and never the same one twice.

    Whoever binds it may, rarely, lose a race against a stranger: see `taken`.
    """
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        # The kernel gives the same port again while nobody has bound it: two targets would share it.
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def taken(port: int) -> bool:
    """Does somebody listen on that port now? What lingers of earlier connections does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def poll(attempt: Callable[[], T | None], *, timeout_s: float, every_s: float = 0.02) -> T | None:
    """What `attempt` returns once it is not None, or None after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (result := attempt()) is None and time.monotonic() < deadline:
        time.sleep(every_s)
    return result
