"""Packets that are lost between containers: root of this machine lays out the rules in their network namespaces.

    agent ──▶ │ ──▶ Toxiproxy      rules in its namespace: what the agent sends does not come in
    agent ◀── │ ◀── Toxiproxy      rules in the agent's: what it is answered does not come in

No container is given a right for it, and no rule of this machine's own is touched. So what a proxy sends to a raw
socket of the harness, on this machine, comes in; but a proxy that hears nothing has little to say.

A namespace, and the rules with it, is gone when its container has ended and the harness has let go of it, whatever way
that went. A container that is started again has another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from brokenpipe.errors import NamespaceError
from brokenpipe.stack.packet_loss import nftables
from brokenpipe.stack.packet_loss.api import cannot_be_lost
from brokenpipe.stack.packet_loss.namespace import OWN
from brokenpipe.stack.packet_loss.nftables import Within
from brokenpipe.stack.processes.process import Child


@dataclass(frozen=True, slots=True)
class ContainerPackets:
    """Those between Toxiproxy's container, which is at `host`, and those of the agents. They satisfy Packets.

    `wanted`: has the run a use for it? Else no namespace is entered.
    """

    host: str
    wanted: bool
    _entered: dict[str | None, Within] = field(default_factory=dict)  # by arm; Toxiproxy's has none

    @property
    def can_be_lost(self) -> bool:
        return self.wanted

    @contextmanager
    def furnished(self, started: AbstractContextManager[Child], arm: str | None = None) -> Iterator[Child]:
        """Start a container, the agent's of that arm or Toxiproxy's, and lay out the rules for as long as it runs.

        Raises NamespaceError or ProxyError where that cannot be done.
        """
        with started as child:
            if not self.wanted:
                yield child
                return
            with _namespace(child) as within:
                nftables.tell(nftables.rules(self.host), what=f"the network of {child.name}", within=within)
                self._entered[arm] = within
                try:
                    yield child
                finally:
                    del self._entered[arm]

    def lose(self, proxy: str, port: int, on: bool, /) -> None:
        """At both ends at the same time: a proxy has the name of its arm, and one for probes has none."""
        ends = [self._entered[end] for end in (None, proxy) if end in self._entered]
        if not ends:
            raise cannot_be_lost(proxy)
        with ThreadPoolExecutor(len(ends), "filter") as changing:
            list(changing.map(lambda within: nftables.dropping(port, on, within), ends))


@contextmanager
def _namespace(child: Child) -> Iterator[Within]:
    """A container's. Held open, it stays the one that was looked at, whatever becomes of the container and its pid."""
    try:
        file = os.open(f"/proc/{child.pid}/ns/net", os.O_RDONLY)
    except OSError as error:
        raise NamespaceError(
            f"{child.name}: the network of its container cannot be entered: {error.strerror}",
            remedy=f"See {child.log_path}: has it ended?",
            details=child.last_lines(),
        ) from error
    try:
        if os.path.samestat(os.fstat(file), OWN.stat()):
            raise NamespaceError(
                f"{child.name}: its container is in the network of this machine, whose packet filter is not ours",
                remedy="Use compose/pieces.yaml as it is: no container needs the network of this machine.",
            )
        yield Within(file)
    finally:
        os.close(file)
