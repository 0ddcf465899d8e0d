"""A connection whose client is silent for too long ends: at once, or with the next byte."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.base import How, effect_of_ending
from brokenpipe.faults.contract import LATE_S, SocketEffect, SocketExpectation
from brokenpipe.faults.idle_base import IdleLimit
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

IDLE_RESET = Toxic("idle_reset", "idle_reset", "upstream", {"idle_ms": 0, "next_packet": 0})

When = Literal["at_once", "next_packet"]
"""When the end comes: as soon as the limit is reached, or in answer to what the client sends after it."""

REST_LONGER_S = 0.1
"""How much longer than the limit a socket of ours rests: an end that came at once would be seen by then."""


class IdleReset(IdleLimit):
    """What firewalls, load balancers and poolers with an idle limit do to a pool between two bursts.

    Each connection ends `after_ms` after its client's last byte, or at the injection if it was silent for
    longer by then. Only the client's bytes count: an answer on its way does not keep a connection alive.
    With `when = "next_packet"` it is forgotten then, and both sides believe in it until the client's next byte.
    """

    name: Literal["idle_reset"] = "idle_reset"
    how: How = "reset"
    when: When = "at_once"

    toxic: ClassVar[Toxic] = IDLE_RESET

    @property
    def parameters_text(self) -> str:
        at_next = "at the next byte " if self.forgets else ""
        return f"{self.how} {at_next}after {self.after_ms} ms idle"

    @property
    def forgets(self) -> bool:
        """Whether nobody is told of the end until the client speaks again."""
        return self.when == "next_packet"

    @property
    def ending(self) -> How:
        return self.how

    @property
    def seen(self) -> SocketEffect:
        return effect_of_ending(self.how)

    @property
    def over(self) -> SocketExpectation:
        if not self.forgets:
            return super().over
        return SocketExpectation(
            self.seen, "sending", 0.0, LATE_S, rest_s=self.after_ms / 1000 + REST_LONGER_S
        )

    def inject(self, wire: ProxyControl) -> None:
        wire.update(self.toxic.name, idle_ms=self.after_ms, next_packet=int(self.forgets))
