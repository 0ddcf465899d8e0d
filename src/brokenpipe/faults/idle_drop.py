"""A connection whose client is silent for too long is forgotten: from then on, what it sends vanishes."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.contract import SocketEffect
from brokenpipe.faults.idle_base import IdleLimit
from brokenpipe.faults.proxy_control import Toxic

IDLE_DROP = Toxic("idle_drop", "idle_drop", "upstream", {"idle_ms": 0}, stage="ending")


class IdleDrop(IdleLimit):
    """A NAT gateway or a cloud's load balancer whose entry for a connection has expired.

    Neither side is notified. A pool hands such a connection out as usable, and a request on it gets no answer. The
    connection stays so for the rest of its life, healed or not.
    """

    name: Literal["idle_drop"] = "idle_drop"

    toxic: ClassVar[Toxic] = IDLE_DROP
    all_toxics: ClassVar[tuple[Toxic, ...]] = (IDLE_DROP,)
    recorded_as: ClassVar[str] = "idle_drop"

    @property
    def parameters_text(self) -> str:
        return f"after {self.after_ms} ms idle"

    @property
    def seen(self) -> SocketEffect:
        return "silence"
