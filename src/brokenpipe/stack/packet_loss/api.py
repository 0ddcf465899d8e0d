"""Who can have the packets of a proxy lost: the run's own network namespace, those of its containers, or nobody."""

from __future__ import annotations

from typing import Protocol

from brokenpipe.errors import ProxyError
from brokenpipe.stack.packet_loss import namespace, nftables


class Packets(Protocol):
    """The packet filter that a proxy's packets meet."""

    @property
    def can_be_lost(self) -> bool:
        """Whether it is ours to change."""

    def lose(self, proxy: str, port: int, on: bool, /) -> None:
        """Lose every packet between clients and this proxy, or none any more. Raises ProxyError."""


class PacketsHere:
    """Those in the network namespace that the harness itself is in, if it is one of the run's own."""

    @property
    def can_be_lost(self) -> bool:
        return namespace.entered()

    def lose(self, proxy: str, port: int, on: bool, /) -> None:
        if not self.can_be_lost:
            raise cannot_be_lost(proxy)
        nftables.dropping(port, on)


def cannot_be_lost(proxy: str) -> ProxyError:
    """What is said where no filter is ours."""
    return ProxyError(
        f"{proxy}: packets are only dropped in a network namespace of the run's own, and this is none",
        remedy="Run a scenario that has a phase with packet_drop.",
    )
