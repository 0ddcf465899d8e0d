"""A connection whose client is silent for too long is forgotten: from then on, what it sends vanishes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from brokenpipe.faults.base import Fault
from brokenpipe.faults.contract import LATE_S, Contract, Expectation
from brokenpipe.faults.idle_reset import BRIEF_MS, MOST_MS
from brokenpipe.faults.wire import Toxic, Wire

IDLE_DROP = Toxic("idle_drop", "idle_drop", "upstream", {"idle_ms": 0})


class IdleDrop(Fault):
    """What a NAT gateway or a cloud's load balancer does whose entry for a connection has expired.

    Nobody is told. A pool hands such a connection out as usable; whoever asks on it waits. It stays so for the
    rest of the connection's life, healed or not.
    """

    name: Literal["idle_drop"] = "idle_drop"
    after_ms: int = Field(ge=50, le=MOST_MS)

    strikes: ClassVar[bool] = False

    @property
    def manner(self) -> str:
        return f"after {self.after_ms} ms idle"

    @property
    def silence_ms(self) -> int:
        return self.after_ms

    @property
    def contract(self) -> Contract:
        after_s = self.after_ms / 1000
        silent = Expectation("silence", "last_byte", after_s, after_s + LATE_S)
        return Contract(
            idle=silent, fresh=silent, mid_transfer=Expectation("alive", "injection", 0.0, 1.5 * after_s)
        )

    def toxics(self) -> tuple[Toxic, ...]:
        return (IDLE_DROP,)

    def inject(self, wire: Wire) -> None:
        wire.update(IDLE_DROP.name, idle_ms=self.after_ms)

    def brief(self) -> IdleDrop:
        return self.model_copy(update={"after_ms": min(self.after_ms, BRIEF_MS)})
