"""A connection whose client is silent for too long is forgotten: from then on, what it sends vanishes."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.contract import SocketEffect
from brokenpipe.faults.idle_base import IdleLimit
from brokenpipe.faults.proxy_control import Toxic

IDLE_DROP = Toxic("idle_drop", "idle_drop", "upstream", {"idle_ms": 0})


class IdleDrop(IdleLimit):
    """What a NAT gateway or a cloud's load balancer does whose entry for a connection has expired.

    Nobody is told. A pool hands such a connection out as usable; whoever asks on it waits. It stays so for the
    rest of the connection's life, healed or not.
    """

    name: Literal["idle_drop"] = "idle_drop"

    toxic: ClassVar[Toxic] = IDLE_DROP

    @property
    def parameters_text(self) -> str:
        return f"after {self.after_ms} ms idle"

    @property
    def seen(self) -> SocketEffect:
        return "silence"
