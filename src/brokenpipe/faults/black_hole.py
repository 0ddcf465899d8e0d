"""Every byte vanishes in both directions, and no connection ends."""

from __future__ import annotations

from typing import ClassVar, Literal

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.faults.base import Fault, Situation
from brokenpipe.faults.contract import Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

BLACK_HOLE_UPSTREAM = Toxic("black_hole_upstream", "black_hole", "upstream", {"swallow": 0}, stage="ending")
BLACK_HOLE_DOWNSTREAM = Toxic(
    "black_hole_downstream", "black_hole", "downstream", {"swallow": 0}, stage="ending"
)

_LONG_ENOUGH_S = 0.3  # for an answer, which takes a millisecond


class BlackHole(Fault):
    """A broken route, or a firewall that drops packets, as far as a program can tell.

    Connections still open, because the proxy's kernel accepts them, and get no answer. When it is healed, each
    connection that was open meanwhile is closed: bytes are missing on it.
    """

    name: Literal["black_hole"] = "black_hole"

    momentary: ClassVar[bool] = False
    detected_on: ClassVar[Situation] = "fresh"
    all_toxics: ClassVar[tuple[Toxic, ...]] = (BLACK_HOLE_UPSTREAM, BLACK_HOLE_DOWNSTREAM)
    can_cause: ClassVar[frozenset[ErrorClass]] = HANG_CLASSES
    silences: ClassVar[bool] = True
    ends_connecting: ClassVar[bool] = True
    recorded_as: ClassVar[str] = "black_hole"

    @property
    def parameters_text(self) -> str:
        return "in both directions"

    @property
    def contract(self) -> Contract:
        silent = SocketExpectation("silence", "injection", 0.0, _LONG_ENOUGH_S)
        return Contract(idle=silent, fresh=silent, mid_transfer=silent)

    def inject(self, wire: ProxyControl) -> None:
        for toxic in self.toxics():
            wire.update(toxic.name, swallow=1)
