"""Packet loss: no packet arrives, and none is acknowledged."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from brokenpipe.error_class import HANG_CLASSES, ErrorClass
from brokenpipe.faults.base import Fault, Situation
from brokenpipe.faults.contract import Contract, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl

_LONG_ENOUGH_S = 0.3  # for an answer, which takes a millisecond


class PacketDrop(Fault):
    """A host that lost its power, a cable that was cut, a firewall that drops what it has forgotten.

    The kernel of the service gets no acknowledgement, unlike in a black hole of the proxy: it retransmits, and
    gives up when its settings say so (TCP_USER_TIMEOUT, keepalives). Connections cannot be opened. When it is healed,
    connections that no side has given up go on, and no byte is missing.
    """

    name: Literal["packet_drop"] = "packet_drop"

    momentary: ClassVar[bool] = False
    detected_on: ClassVar[Situation] = "fresh"
    in_namespace: ClassVar[bool] = True
    # EOF is ETIMEDOUT: the kernel of the service gave up.
    can_cause: ClassVar[frozenset[ErrorClass]] = HANG_CLASSES | {ErrorClass.EOF}
    silences: ClassVar[bool] = True
    ends_connecting: ClassVar[bool] = True

    @property
    def parameters_text(self) -> str:
        return "in both directions"

    @property
    def contract(self) -> Contract:
        silent = SocketExpectation("silence", "injection", 0.0, _LONG_ENOUGH_S)
        unreached = SocketExpectation("unreached", "injection", 0.0, _LONG_ENOUGH_S)
        return Contract(idle=silent, fresh=unreached, mid_transfer=silent)

    def inject(self, wire: ProxyControl) -> None:
        wire.drop(True)

    def heal(self, wire: ProxyControl) -> None:
        wire.drop(False)

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        return ()  # it takes a network namespace, which the doctor looks for without entering one
