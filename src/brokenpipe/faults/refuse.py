"""Nobody listens: every attempt to connect is refused."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.faults.base import Fault, How, Situation
from brokenpipe.faults.contract import LATE_S, Contract, Expectation
from brokenpipe.faults.wire import Toxic, Wire


class Refuse(Fault):
    """A database that is down, a failover before the new primary listens, a firewall that rejects.

    Connections that are open when it begins are closed: a listener and its connections go together.
    """

    name: Literal["refuse"] = "refuse"

    strikes: ClassVar[bool] = False
    shows_on: ClassVar[Situation] = "fresh"

    @property
    def manner(self) -> str:
        return "every connection"

    @property
    def ending(self) -> How:
        return "fin"

    @property
    def contract(self) -> Contract:
        end = Expectation("eof", "injection", 0.0, LATE_S)
        return Contract(
            idle=end, fresh=Expectation("refused", "injection", 0.0, 2 * LATE_S), mid_transfer=end
        )

    def toxics(self) -> tuple[Toxic, ...]:
        return ()

    def inject(self, wire: Wire) -> None:
        wire.refuse()

    def heal(self, wire: Wire) -> None:
        wire.accept()
