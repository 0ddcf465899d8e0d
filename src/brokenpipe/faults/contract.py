"""What a fault promises to a client's socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from brokenpipe.time_origin import Since

SocketEffect = Literal[
    "reset", "eof", "refused", "silence", "unreached", "alive", "delayed", "cut",
    "57P01", "57P03", "57P05", "25P03", "57014", "25006", "53300",
]  # fmt: skip
"""reset: RST. eof: FIN. refused: no connection. silence: sent, and no answer. unreached: not even
the attempt to connect was answered. alive: an answer came.
delayed: an answer came, later than without the fault. cut: the connection ended at its
COMMIT; only the one who cut it can tell. An SQLSTATE: the server said so; what it says as a FATAL,
or as a warning of its own end, counts once the end has followed, by FIN.
https://www.postgresql.org/docs/current/errcodes-appendix.html"""

LATE_S = 0.020
"""How late an end may be seen. Fifty killed at once ended within 10 ms; twice that on a busy machine."""

SERVER_LATE_S = 0.1
"""How late the server may be: each session is a process of its own that has to be woken. Measured: 5 ms."""

DELAY_LATE_S = 0.002
"""How much more than the delay a round trip may take: four hops on loopback and a timer. Measured: 0.5 ms."""

EARLY_S = 0.001
"""How much too early a time may look: clocks are read on two sides of a system call."""

STEADY: frozenset[SocketEffect] = frozenset({"alive", "silence", "unreached"})
"""What is no moment but a stretch of time."""


@dataclass(frozen=True, slots=True)
class SocketExpectation:
    """What is seen, and when: between `earliest_s` and `latest_s` after `since`.

    For `alive` and `silence` this is not a moment but a stretch: still so after `latest_s`.
    """

    seen: SocketEffect
    since: Since
    earliest_s: float
    latest_s: float
    also: SocketEffect | None = None  # what is as good: a reason that may get lost on its way
    rest_s: float | None = None  # of the client before that message: nothing may be seen in it

    def met_by(self, seen: SocketEffect, after_s: float) -> bool:
        """Does what was seen agree?"""
        if self.seen in STEADY:
            return seen == self.seen
        return seen in {self.seen, self.also} and self.earliest_s - EARLY_S <= after_s <= self.latest_s

    def missed_by_chance(self, seen: SocketEffect, after_s: float) -> bool:
        """Can that have been the machine's doing, so that another look is fair?

        The right thing, only late; too early cannot be chance. Or an RST for a FIN: that is what any socket
        sends that is closed in the instant between the arrival of a message and its being read.
        """
        if self.seen == "eof" and seen == "reset":
            return True
        return self.seen not in STEADY and seen in {self.seen, self.also} and after_s > self.latest_s

    def __str__(self) -> str:
        if self.seen == "silence" and self.since == "last_byte":
            return f"silence, {self.earliest_s * 1000:g} ms after last_byte"
        if self.seen in STEADY:
            return f"{self.seen} for {self.latest_s * 1000:g} ms"
        what = f"{self.seen} or {self.also}" if self.also else self.seen
        rest = f", after {self.rest_s * 1000:g} ms of rest" if self.rest_s else ""
        return f"{what}, {self.earliest_s * 1000:g} to {self.latest_s * 1000:g} ms after {self.since}{rest}"

    @property
    def shows_after_s(self) -> float:
        """How long a connection must be silent before anything can be seen, in seconds."""
        return self.rest_s or (self.earliest_s if self.since == "last_byte" else 0.0)


@dataclass(frozen=True, slots=True)
class Contract:
    """What a raw socket sees in each of the three situations a pool's connection can be in.

    `idle`: opened before the injection, quiet since. `fresh`: opened after the injection, quiet after one
    round trip. `mid_transfer`: messages and answers are under way in both directions all the time.
    """

    idle: SocketExpectation
    fresh: SocketExpectation
    mid_transfer: SocketExpectation
