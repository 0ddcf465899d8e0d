"""One proxy as a fault controls it, and the toxics that a fault needs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from brokenpipe.faults.server_control import ServerControl

Stream = Literal["upstream", "downstream"]

Stage = Literal["waiting", "parsing", "ending"]
"""The place of a toxic in the chain of a proxy, in this order. waiting: it waits for its output, as Toxiproxy's own do,
and what ends connections must not wait behind it. parsing: it follows the protocol. ending: it ends or silences
connections."""


@dataclass(frozen=True, slots=True)
class Toxic:
    """A toxic as a proxy holds it from its creation: present, and without effect.

    `stream` is the direction it sees: upstream is what the client sends. `neutral` are all its attributes,
    with the values at which it does nothing. Toxics are created before the first connection and only updated
    afterwards, because adding or deleting one on a live connection can hang the server.
    """

    name: str
    type: str
    stream: Stream
    neutral: Mapping[str, int]
    reported: tuple[str, ...] = ()  # attributes that it sets itself, and that nobody else can
    stage: Stage = "waiting"


class ProxyControl(Protocol):
    """One proxy, as a fault controls it."""

    def update(self, toxic: str, /, **attributes: int) -> None:
        """Set attributes of the toxic of that name. Raises ProxyError if they did not take effect."""

    def kill(self) -> None:
        """End every connection that is open now, and none that comes later."""

    def refuse(self) -> None:
        """Close every connection and refuse new ones. Raises ProxyError."""

    def accept(self) -> None:
        """Let connections in again. Raises ProxyError."""

    def drop(self, on: bool, /) -> None:
        """Lose every packet to and from its port, or none any more. Raises ProxyError, also where it cannot be done."""

    @property
    def server(self) -> ServerControl:
        """The database at its other end."""
