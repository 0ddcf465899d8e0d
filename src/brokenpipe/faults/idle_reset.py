"""A connection whose client is silent for too long ends."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from brokenpipe.faults.base import Fault, How, end_of
from brokenpipe.faults.contract import LATE_S, Contract, Expectation
from brokenpipe.faults.wire import Toxic, Wire

IDLE_RESET = Toxic("idle_reset", "idle_reset", "upstream", {"idle_ms": 0})

BRIEF_MS = 1000
MOST_MS = 590_000  # after ten minutes Postgres itself ends the socket that watches, and that is its most


class IdleReset(Fault):
    """What firewalls, load balancers and poolers with an idle limit do to a pool between two bursts.

    Each connection ends `after_ms` after its client's last byte, or at the injection if it was silent for
    longer by then. Only the client's bytes count: an answer on its way does not keep a connection alive.
    """

    name: Literal["idle_reset"] = "idle_reset"
    after_ms: int = Field(ge=50, le=MOST_MS)
    how: How = "reset"

    strikes: ClassVar[bool] = False

    @property
    def manner(self) -> str:
        return f"{self.how} after {self.after_ms} ms idle"

    @property
    def armed(self) -> bool:
        return self.how == "reset"

    @property
    def silence_ms(self) -> int:
        return self.after_ms

    @property
    def contract(self) -> Contract:
        after_s = self.after_ms / 1000
        end = Expectation(end_of(self.how), "last_byte", after_s, after_s + LATE_S)
        return Contract(
            idle=end, fresh=end, mid_transfer=Expectation("alive", "injection", 0.0, 1.5 * after_s)
        )

    def toxics(self) -> tuple[Toxic, ...]:
        return (IDLE_RESET,)

    def inject(self, wire: Wire) -> None:
        wire.update(IDLE_RESET.name, idle_ms=self.after_ms)

    def brief(self) -> IdleReset:
        return self.model_copy(update={"after_ms": min(self.after_ms, BRIEF_MS)})
