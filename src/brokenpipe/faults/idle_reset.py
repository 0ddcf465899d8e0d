"""A connection whose client is silent for too long ends: at once, or with the next byte."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from brokenpipe.faults.base import HOW, How, effect_of_ending
from brokenpipe.faults.contract import LATE_S, SocketEffect, SocketExpectation
from brokenpipe.faults.idle_base import IdleLimit
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

IDLE_RESET = Toxic("idle_reset", "idle_reset", "upstream", {"idle_ms": 0, "next_packet": 0}, stage="ending")

When = Literal["at_once", "next_packet"]
"""When the end comes: as soon as the limit is reached, or in answer to what the client sends after it."""

REST_LONGER_S = 0.1
"""How much longer than the limit a socket of ours rests: an end that came at once would be seen by then."""


class IdleReset(IdleLimit):
    """A firewall, load balancer or pooler with an idle limit, between two bursts of load.

    Each connection ends `after_ms` after its client's last byte, or at the injection if it was silent for
    longer by then. Only the client's bytes count: an answer on its way does not keep a connection alive.
    With `when = "next_packet"` it is forgotten then, and both sides believe in it until the client's next byte.
    """

    name: Literal["idle_reset"] = "idle_reset"
    how: How = HOW
    when: When = Field(
        default="at_once",
        description="at_once: as soon as the limit is reached; next_packet: forgotten then, ended by the next byte.",
    )

    toxic: ClassVar[Toxic] = IDLE_RESET
    all_toxics: ClassVar[tuple[Toxic, ...]] = (IDLE_RESET,)
    recorded_as: ClassVar[str] = "idle_reset"

    @property
    def parameters_text(self) -> str:
        at_next = "at the next byte " if self.forgets else ""
        return f"{self.how} {at_next}after {self.after_ms} ms idle"

    @property
    def forgets(self) -> bool:
        """Whether no side is notified of the end before the client sends again."""
        return self.when == "next_packet"

    @property
    def ending(self) -> How:
        return self.how

    @property
    def ends_connecting_after_ms(self) -> int:
        return self.after_ms

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

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return (
            cls(after_ms=300),
            cls(after_ms=300, how="fin"),
            cls(after_ms=300, when="next_packet"),
        )
