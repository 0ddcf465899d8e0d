"""The gate that every request passes: closed, users pause together; opened, they come back together.

A pause cannot be made of Locust's own parts: `TaskSet.run` calls the task set's `wait`, not the user's, and
a load shape ticks once a second and restarts users.
"""

# mypy: disallow-untyped-calls=False
# (gevent carries no types)

from __future__ import annotations

from gevent.event import Event
from locust.exception import StopUser


class Gate:
    """Closed at first. `closed` is read without a call on the way of every request."""

    def __init__(self) -> None:
        self.closed = True
        self.ending = False
        self._opened = Event()

    def open(self) -> None:
        """Let everyone through: whoever waits goes in this turn of the event loop."""
        self.closed = self.ending
        self._opened.set()

    def close(self) -> None:
        """Let nobody through from now on."""
        self.closed = True
        self._opened.clear()

    def end(self) -> None:
        """Send home for good whoever waits or comes."""
        self.ending = self.closed = True
        self._opened.set()

    def wait(self) -> None:
        """Wait until the gate is open. Raises StopUser when the run is over instead."""
        while self.closed:
            if self.ending:
                raise StopUser
            self._opened.wait()
