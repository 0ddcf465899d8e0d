"""Packet loss between containers: root of this machine sets the rules in their network namespaces.

    agent ──▶ │ ──▶ Toxiproxy      rules in its namespace: what the agent sends does not come in
    agent ◀── │ ◀── Toxiproxy      rules in the agent's: what it is answered does not come in

No container is given a right for it, and no rule of this machine's own is touched. So what a proxy sends to a raw
socket of the harness, on this machine, comes in; but a proxy that receives nothing sends little.

A namespace, and the rules with it, is gone when its container has ended and the harness has closed it, however that
happened. A container that is started again has another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from brokenpipe.errors import NamespaceError
from brokenpipe.stack.packet_loss import nftables
from brokenpipe.stack.packet_loss.api import packet_loss_error
from brokenpipe.stack.packet_loss.namespace import CURRENT_NETNS
from brokenpipe.stack.packet_loss.nftables import NetNs
from brokenpipe.stack.processes.process import Child


@dataclass(frozen=True, slots=True)
class ContainerPacketFilter:
    """The filters between Toxiproxy's container, at address `host`, and those of the agents. It satisfies PacketFilter.

    `wanted`: whether the run drops packets. If not, no namespace is entered.
    """

    host: str
    wanted: bool
    _netns: dict[str | None, NetNs] = field(default_factory=dict)  # by arm; Toxiproxy's has none

    @property
    def is_available(self) -> bool:
        return self.wanted

    @contextmanager
    def with_rules(self, started: AbstractContextManager[Child], arm: str | None = None) -> Iterator[Child]:
        """Start a container, the agent's of that arm or Toxiproxy's, and lay out the rules for as long as it runs.

        Raises NamespaceError or ProxyError where that cannot be done.
        """
        with started as child:
            if not self.wanted:
                yield child
                return
            with _open_netns(child) as netns:
                nftables.run_nft(
                    nftables.drop_rules(self.host), subject=f"the network of {child.name}", netns=netns
                )
                self._netns[arm] = netns
                try:
                    yield child
                finally:
                    del self._netns[arm]

    def set_loss(self, proxy: str, port: int, on: bool, /) -> None:
        """Change both ends at the same time. A proxy has the name of its arm; one for probes has no agent."""
        ends = [self._netns[end] for end in (None, proxy) if end in self._netns]
        if not ends:
            raise packet_loss_error(proxy)
        with ThreadPoolExecutor(len(ends), "filter") as changing:
            list(changing.map(lambda netns: nftables.set_packet_loss(port, on, netns), ends))


@contextmanager
def _open_netns(child: Child) -> Iterator[NetNs]:
    """The namespace of a container. Open, it stays the same whatever happens to the container and its pid."""
    try:
        file = os.open(f"/proc/{child.pid}/ns/net", os.O_RDONLY)
    except OSError as error:
        raise NamespaceError(
            f"{child.name}: the network of its container cannot be entered: {error.strerror}",
            remedy=f"See {child.log_path}: has it ended?",
            details=child.last_lines(),
        ) from error
    try:
        if os.path.samestat(os.fstat(file), CURRENT_NETNS.stat()):
            raise NamespaceError(
                f"{child.name}: its container is in the network of this machine, whose packet filter is not ours",
                remedy="Use compose/services.yaml as it is: no container needs the network of this machine.",
            )
        yield NetNs(file)
    finally:
        os.close(file)
