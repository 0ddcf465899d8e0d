"""One connection ends at its COMMIT, so that its client cannot know what became of its transaction."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from brokenpipe.faults.base import Fault, How, effect_of_ending
from brokenpipe.faults.contract import LATE_S, Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

COMMIT_LOST = Toxic("commit_lost", "commit_lost", "upstream", {"strike": 0}, told=("cut",))
REPLY_LOST = Toxic("reply_lost", "reply_lost", "downstream", {"strike": 0}, told=("cut",))

Lost = Literal["reply", "commit"]


class CommitCut(Fault):
    """What a crash, a failover or a network that ends connections does at the worst moment.

    lost = "reply"    the database has committed, and the client never hears of it
    lost = "commit"   the database never hears of it and rolls back; the client sees exactly the same

    A strike waits for the next COMMIT of a transaction that has written, on any connection of the proxy, and hits
    that one alone. Healed, it waits no longer. What is encrypted cannot be hit.
    """

    name: Literal["commit_cut"] = "commit_cut"
    lost: Lost = "reply"
    how: How = "reset"

    momentary: ClassVar[bool] = True
    deferred: ClassVar[bool] = True
    parses_protocol: ClassVar[bool] = True

    @property
    def parameters_text(self) -> str:
        return f"{self.lost} lost, {self.how}"

    @property
    def ending(self) -> How:
        return self.how

    @property
    def contract(self) -> Contract:
        spared = SocketExpectation("alive", "injection", 0.0, 2 * LATE_S)  # nobody commits anything there
        return Contract(idle=spared, fresh=spared, mid_transfer=spared)

    @property
    def expected_effect(self) -> SocketExpectation:
        return SocketExpectation("cut", "commit", 0.0, LATE_S)

    @property
    def end(self) -> SocketEffect:
        """What the client that commits sees."""
        return effect_of_ending(self.how)

    def toxics(self) -> tuple[Toxic, ...]:
        return (REPLY_LOST if self.lost == "reply" else COMMIT_LOST,)

    def inject(self, wire: ProxyControl) -> None:
        for toxic in self.toxics():
            wire.update(toxic.name, strike=time.monotonic_ns())  # above every strike before
