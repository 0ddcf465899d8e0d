"""Who can have the packets of a proxy lost: the run's own network namespace, those of its containers, or nobody."""

from __future__ import annotations

from typing import Protocol

from brokenpipe.errors import ProxyError
from brokenpipe.stack.packet_loss import namespace, nftables


class PacketFilter(Protocol):
    """The packet filter that a proxy's packets meet."""

    @property
    def is_available(self) -> bool:
        """Whether it is ours to change."""

    def set_loss(self, proxy: str, port: int, on: bool, /) -> None:
        """Lose every packet between clients and this proxy, or none any more. Raises ProxyError."""


class OwnPacketFilter:
    """Those in the network namespace that the harness itself is in, if it is one of the run's own."""

    @property
    def is_available(self) -> bool:
        return namespace.is_inside()

    def set_loss(self, proxy: str, port: int, on: bool, /) -> None:
        if not self.is_available:
            raise packet_loss_error(proxy)
        nftables.set_packet_loss(port, on)


def packet_loss_error(proxy: str) -> ProxyError:
    """What is said where no filter is ours."""
    return ProxyError(
        f"{proxy}: packets are only dropped in a network namespace of the run's own, and this is none",
        remedy="Run a scenario that has a phase with packet_drop.",
    )
