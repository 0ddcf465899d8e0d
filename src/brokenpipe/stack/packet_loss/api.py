"""Packet loss between clients and a proxy: in the run's own network namespace, or in those of its containers."""

from __future__ import annotations

from typing import Protocol

from brokenpipe.errors import ProxyError
from brokenpipe.stack.packet_loss import namespace, nftables


class PacketFilter(Protocol):
    """The packet filter in front of a proxy."""

    @property
    def is_available(self) -> bool:
        """Whether this run may change it."""

    def set_loss(self, proxy: str, port: int, on: bool, /) -> None:
        """Lose every packet between clients and this proxy, or none any more. Raises ProxyError."""


class OwnPacketFilter:
    """The filter of the harness's network namespace, available if that is one of the run's own."""

    @property
    def is_available(self) -> bool:
        return namespace.is_inside()

    def set_loss(self, proxy: str, port: int, on: bool, /) -> None:
        if not self.is_available:
            raise packet_loss_error(proxy)
        nftables.set_packet_loss(port, on)


def packet_loss_error(proxy: str) -> ProxyError:
    """The error where no filter is available."""
    return ProxyError(
        f"{proxy}: packets are only dropped in a network namespace of the run's own, and this is none",
        remedy="Run a scenario that has a phase with packet_drop.",
    )
