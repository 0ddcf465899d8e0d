"""One connection ends at its COMMIT, so that its client cannot know what became of its transaction."""

from __future__ import annotations

import time
from typing import ClassVar, Literal, Self

from pydantic import Field

from brokenpipe.faults.base import HOW, Fault, How, effect_of_ending
from brokenpipe.faults.contract import LATE_S, Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

COMMIT_LOST = Toxic(
    "commit_lost", "commit_lost", "upstream", {"strike": 0}, reported=("cut",), stage="parsing"
)
REPLY_LOST = Toxic(
    "reply_lost", "reply_lost", "downstream", {"strike": 0}, reported=("cut",), stage="parsing"
)

Lost = Literal["reply", "commit"]


class CommitCut(Fault):
    """A crash, a failover or a network that ends a connection at the worst moment: between COMMIT and its answer.

    lost = "reply"    the database has committed, and the client never gets the answer
    lost = "commit"   the database never gets the COMMIT and rolls back; the client sees exactly the same

    A strike waits for the next COMMIT of a transaction that has written, on any connection of the proxy, and hits
    that one alone. Healed, it waits no longer. What is encrypted cannot be hit.
    """

    name: Literal["commit_cut"] = "commit_cut"
    lost: Lost = Field(
        default="reply",
        description="reply: the database has committed, the client gets no answer. "
        "commit: the database gets no COMMIT.",
    )
    how: How = HOW

    momentary: ClassVar[bool] = True
    deferred: ClassVar[bool] = True
    parses_protocol: ClassVar[bool] = True
    all_toxics: ClassVar[tuple[Toxic, ...]] = (COMMIT_LOST, REPLY_LOST)
    recorded_as: ClassVar[str] = "commit_cut"

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

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return cls(lost="reply"), cls(lost="commit", how="fin")
