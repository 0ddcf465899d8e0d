"""One connection ends at its COMMIT, so that its client cannot know what became of its transaction."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from brokenpipe.faults.base import Fault, How, end_of
from brokenpipe.faults.contract import LATE_S, Contract, Expectation, Seen
from brokenpipe.faults.wire import Toxic, Wire

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

    strikes: ClassVar[bool] = True
    waits: ClassVar[bool] = True
    reads: ClassVar[bool] = True

    @property
    def manner(self) -> str:
        return f"{self.lost} lost, {self.how}"

    @property
    def ending(self) -> How:
        return self.how

    @property
    def contract(self) -> Contract:
        spared = Expectation("alive", "injection", 0.0, 2 * LATE_S)  # nobody commits anything there
        return Contract(idle=spared, fresh=spared, mid_transfer=spared)

    @property
    def sign(self) -> Expectation:
        return Expectation("cut", "commit", 0.0, LATE_S)

    @property
    def end(self) -> Seen:
        """What the client that commits sees."""
        return end_of(self.how)

    def toxics(self) -> tuple[Toxic, ...]:
        return (REPLY_LOST if self.lost == "reply" else COMMIT_LOST,)

    def inject(self, wire: Wire) -> None:
        for toxic in self.toxics():
            wire.update(toxic.name, strike=time.monotonic_ns())  # above every strike before
