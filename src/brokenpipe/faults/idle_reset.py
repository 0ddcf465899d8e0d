"""A connection whose client is silent for too long ends."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.base import How, end_of
from brokenpipe.faults.contract import Seen
from brokenpipe.faults.idle import IdleLimit
from brokenpipe.faults.wire import Toxic

IDLE_RESET = Toxic("idle_reset", "idle_reset", "upstream", {"idle_ms": 0})


class IdleReset(IdleLimit):
    """What firewalls, load balancers and poolers with an idle limit do to a pool between two bursts.

    Each connection ends `after_ms` after its client's last byte, or at the injection if it was silent for
    longer by then. Only the client's bytes count: an answer on its way does not keep a connection alive.
    """

    name: Literal["idle_reset"] = "idle_reset"
    how: How = "reset"

    toxic: ClassVar[Toxic] = IDLE_RESET

    @property
    def manner(self) -> str:
        return f"{self.how} after {self.after_ms} ms idle"

    @property
    def ending(self) -> How:
        return self.how

    @property
    def seen(self) -> Seen:
        return end_of(self.how)
