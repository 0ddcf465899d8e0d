"""Real loss: packets vanish, and nobody acknowledges them."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.base import Fault, Situation
from brokenpipe.faults.contract import Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

_LONG_ENOUGH_S = 0.3  # for an answer, which takes a millisecond


class PacketDrop(Fault):
    """A host that lost its power, a cable that was cut, a firewall that drops what it has forgotten.

    Other than in a black hole of the proxy's, the service's own kernel gets no acknowledgement: it retransmits, and
    gives up when its settings say so (TCP_USER_TIMEOUT, keepalives). Connections cannot be opened. When it is healed,
    what nobody has given up goes on, and no byte is missing.
    """

    name: Literal["packet_drop"] = "packet_drop"

    momentary: ClassVar[bool] = False
    detected_on: ClassVar[Situation] = "fresh"
    in_namespace: ClassVar[bool] = True

    @property
    def parameters_text(self) -> str:
        return "in both directions"

    @property
    def contract(self) -> Contract:
        silent = SocketExpectation("silence", "injection", 0.0, _LONG_ENOUGH_S)
        unreached = SocketExpectation("unreached", "injection", 0.0, _LONG_ENOUGH_S)
        return Contract(idle=silent, fresh=unreached, mid_transfer=silent)

    def toxics(self) -> tuple[Toxic, ...]:
        return ()

    def inject(self, wire: ProxyControl) -> None:
        wire.drop(True)

    def heal(self, wire: ProxyControl) -> None:
        wire.drop(False)
