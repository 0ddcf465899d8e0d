"""Free ports on the loopback, and waiting for something to answer there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on at this moment. Whoever binds it may, rarely, lose a race."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def poll(attempt: Callable[[], T | None], *, timeout_s: float, every_s: float = 0.02) -> T | None:
    """What `attempt` returns once it is not None, or None after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (result := attempt()) is None and time.monotonic() < deadline:
        time.sleep(every_s)
    return result
