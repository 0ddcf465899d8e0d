"""The gate of one arm, which every request passes: while it is closed, all users of the arm pause.

A pause cannot be made of Locust's own parts: `TaskSet.run` calls the task set's `wait`, not the user's, and
a load shape ticks once a second and restarts users.
"""

# mypy: disallow-untyped-calls=False
# (gevent carries no types)

from __future__ import annotations

from gevent.event import Event
from locust.exception import StopUser


class Gate:
    """A gate that is closed at first. Every request reads `closed`, which is an attribute for speed."""

    def __init__(self) -> None:
        self.closed = True
        self.ending = False
        self._opened = Event()

    def open(self) -> None:
        """Open the gate. All waiting users go on in this iteration of the event loop."""
        self.closed = self.ending
        self._opened.set()

    def close(self) -> None:
        """Close the gate for all requests from now on."""
        self.closed = True
        self._opened.clear()

    def shut_down(self) -> None:
        """Close permanently: all users that wait or come later exit."""
        self.ending = self.closed = True
        self._opened.set()

    def wait(self) -> None:
        """Wait until the gate is open. Raises StopUser when the run is over instead."""
        while self.closed:
            if self.ending:
                raise StopUser
            self._opened.wait()
