"""The port is closed: every attempt to connect is refused."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.error_class import ErrorClass
from brokenpipe.faults.base import Fault, How, ServerEnds, Situation
from brokenpipe.faults.contract import LATE_S, Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl


class Refuse(Fault):
    """A database that is down, a failover before the new primary listens, a firewall that rejects.

    Connections that are open when it begins are closed: a listener and its connections go together.
    """

    name: Literal["refuse"] = "refuse"

    momentary: ClassVar[bool] = False
    detected_on: ClassVar[Situation] = "fresh"
    can_cause: ClassVar[frozenset[ErrorClass]] = frozenset({ErrorClass.REFUSED})
    ends_connecting: ClassVar[bool] = True
    server_ends: ClassVar[ServerEnds] = "any"

    @property
    def parameters_text(self) -> str:
        return "every connection"

    @property
    def ending(self) -> How:
        return "fin"

    @property
    def contract(self) -> Contract:
        end = SocketExpectation("eof", "injection", 0.0, LATE_S)
        return Contract(
            idle=end, fresh=SocketExpectation("refused", "injection", 0.0, 2 * LATE_S), mid_transfer=end
        )

    def inject(self, wire: ProxyControl) -> None:
        wire.refuse()

    def heal(self, wire: ProxyControl) -> None:
        wire.accept()
