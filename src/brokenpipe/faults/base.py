"""What all faults have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from brokenpipe.faults.contract import Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

How = Literal["reset", "fin"]
"""How a connection ends: by RST, as from a crashed host or a firewall that rejects, or by FIN, as from a
process that closed its socket."""

Situation = Literal["idle", "fresh", "mid_transfer"]
"""In which a connection of a pool can be when a fault comes, see Contract."""

Place = Literal["wire", "server"]
"""Where a fault happens: on the wire, of which any socket tells, or at the server, of which its sessions do."""


class Fault(BaseModel):
    """One way to break the wire, with its parameters. `name` tells which."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str

    momentary: ClassVar[bool]
    """True: it happens at one moment and there is nothing to heal. False: it holds from inject to heal."""

    deferred: ClassVar[bool] = False
    """True: a strike hits at the next occasion only, and until then it can be healed."""

    parses_protocol: ClassVar[bool] = False
    """True: it looks for something in what passes, and sees nothing of what is encrypted."""

    place: ClassVar[Place] = "wire"

    in_namespace: ClassVar[bool] = False
    """True: it can only happen in a network namespace of the run's own, or in those of its containers."""

    detected_on: ClassVar[Situation] = "idle"
    """Which connection tells best, in the middle of an experiment, that it is there."""

    @property
    def ending(self) -> How | None:
        """How connections must end for it to be what it promises; None: either way will do.

        That is decided when a connection opens and cannot be changed on it; see docs/faults.md.
        """
        return None

    @property
    def armed(self) -> bool:
        """Whether its connections must be opened so that any later end is an RST."""
        return self.ending == "reset"

    @property
    def shared(self) -> bool:
        """Does it happen to what all arms share, and so once to all of them?"""
        return False

    @property
    def min_interval_s(self) -> float:
        """How much time one strike needs at least, in seconds."""
        return 0.2

    @property
    def silence_ms(self) -> int | None:
        """How long a connection has to be quiet in its pool to feel it, if that matters."""
        return None

    @property
    def trigger_sql(self) -> str:
        """The SQL with which a fresh session brings it about, for a fault at the server."""
        return "SELECT 1"

    @property
    @abstractmethod
    def contract(self) -> Contract:
        """What a raw socket sees."""

    @property
    def expected_effect(self) -> SocketExpectation:
        """What a raw socket of ours must see of it in the middle of an experiment, or it did not land."""
        expected: SocketExpectation = getattr(self.contract, self.detected_on)
        return expected

    @abstractmethod
    def toxics(self) -> tuple[Toxic, ...]:
        """What must be on a proxy, neutral, before the first connection."""

    @abstractmethod
    def inject(self, wire: ProxyControl) -> None:
        """Break the wire. Raises ProxyError if that did not happen."""

    def inject_everywhere(self, wires: Sequence[ProxyControl]) -> None:
        """Inject a fault that is shared, once. The wires of all arms lead to the same server."""
        self.inject(wires[0])

    def heal(self, wire: ProxyControl) -> None:
        """Make the wire whole for connections that come and for those that still live."""
        for toxic in self.toxics():
            wire.update(toxic.name, **toxic.neutral)

    def shortened(self) -> Fault:
        """The same fault with times short enough for a probe before every experiment."""
        return self

    @property
    @abstractmethod
    def parameters_text(self) -> str:
        """Its parameters in a few words, with units."""

    def __str__(self) -> str:
        return f"{self.name} · {self.parameters_text}"


def effect_of_ending(how: How) -> SocketEffect:
    """What a client's socket sees of it."""
    return "reset" if how == "reset" else "eof"
