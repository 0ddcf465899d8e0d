"""Base of the faults that limit how long a client may be silent."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self

from pydantic import Field

from brokenpipe.faults.base import Fault
from brokenpipe.faults.contract import LATE_S, Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

_BRIEF_MS = 1000
MOST_MS = 590_000  # after ten minutes Postgres itself ends the socket that watches, and that is its most


class IdleLimit(Fault):
    """A limit on silence: each connection is ended or forgotten `after_ms` after its client's last byte."""

    after_ms: int = Field(
        ge=50, le=MOST_MS, examples=[300], description="Milliseconds of the client's silence."
    )

    momentary: ClassVar[bool] = False
    spares_active: ClassVar[bool] = True
    toxic: ClassVar[Toxic]
    """A toxic of ours, with the limit as its `idle_ms`."""

    @property
    @abstractmethod
    def seen(self) -> SocketEffect:
        """What a client's socket sees of it."""

    @property
    def silence_ms(self) -> int:
        return self.after_ms

    @property
    def over(self) -> SocketExpectation:
        """What a socket sees that has been silent for as long."""
        after_s = self.after_ms / 1000
        return SocketExpectation(self.seen, "last_byte", after_s, after_s + LATE_S)

    @property
    def contract(self) -> Contract:
        talks = SocketExpectation("alive", "injection", 0.0, 1.5 * self.after_ms / 1000)
        return Contract(idle=self.over, fresh=self.over, mid_transfer=talks)

    def inject(self, wire: ProxyControl) -> None:
        wire.update(self.toxic.name, idle_ms=self.after_ms)

    def shortened(self) -> Self:
        return self.model_copy(update={"after_ms": min(self.after_ms, _BRIEF_MS)})
