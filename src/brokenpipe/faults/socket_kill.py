"""Every open connection ends at once; the server stays reachable."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from brokenpipe.faults.base import HOW, Fault, How, effect_of_ending
from brokenpipe.faults.contract import LATE_S, Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

KILL_SWITCH = Toxic("kill_switch", "kill_switch", "upstream", {"generation": 0}, stage="ending")


class SocketKill(Fault):
    """A failover, a restarted proxy, or a route that changed.

    Connections opened later live, and none is refused meanwhile. The promise holds for peers that read: what
    the proxy has already taken for a peer that does not must be delivered first.
    """

    name: Literal["socket_kill"] = "socket_kill"
    how: How = HOW

    momentary: ClassVar[bool] = True
    all_toxics: ClassVar[tuple[Toxic, ...]] = (KILL_SWITCH,)
    ends_connecting: ClassVar[bool] = True
    recorded_as: ClassVar[str] = "kill_switch"

    @property
    def parameters_text(self) -> str:
        return self.how

    @property
    def ending(self) -> How:
        return self.how

    @property
    def contract(self) -> Contract:
        end = SocketExpectation(effect_of_ending(self.how), "injection", 0.0, LATE_S)
        return Contract(
            idle=end, fresh=SocketExpectation("alive", "injection", 0.0, 2 * LATE_S), mid_transfer=end
        )

    def inject(self, wire: ProxyControl) -> None:
        wire.kill()

    def heal(self, wire: ProxyControl) -> None:
        """Nothing: it is over when it has happened."""

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return cls(how="reset"), cls(how="fin")
