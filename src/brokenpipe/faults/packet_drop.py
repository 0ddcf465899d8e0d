"""Real loss: packets vanish, and nobody acknowledges them."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.base import Fault, Situation
from brokenpipe.faults.contract import Contract, Expectation
from brokenpipe.faults.wire import Toxic, Wire

_LONG_ENOUGH_S = 0.3  # for an answer, which takes a millisecond


class PacketDrop(Fault):
    """A host that lost its power, a cable that was cut, a firewall that drops what it has forgotten.

    Other than in a black hole of the proxy's, the service's own kernel gets no acknowledgement: it retransmits, and
    gives up when its settings say so (TCP_USER_TIMEOUT, keepalives). Connections cannot be opened. When it is healed,
    what nobody has given up goes on, and no byte is missing.
    """

    name: Literal["packet_drop"] = "packet_drop"

    strikes: ClassVar[bool] = False
    shows_on: ClassVar[Situation] = "fresh"
    in_namespace: ClassVar[bool] = True

    @property
    def manner(self) -> str:
        return "in both directions"

    @property
    def contract(self) -> Contract:
        silent = Expectation("silence", "injection", 0.0, _LONG_ENOUGH_S)
        unreached = Expectation("unreached", "injection", 0.0, _LONG_ENOUGH_S)
        return Contract(idle=silent, fresh=unreached, mid_transfer=silent)

    def toxics(self) -> tuple[Toxic, ...]:
        return ()

    def inject(self, wire: Wire) -> None:
        wire.drop(True)

    def heal(self, wire: Wire) -> None:
        wire.drop(False)
