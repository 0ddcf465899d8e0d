"""Detects connections that bypass a proxy, by the socket tables of a service's network namespace.

The kernel lets every user read /proc/PID/net of any process. A service in a container is in a namespace of its own, so
its sockets are in no other table: https://docs.kernel.org/networking/proc_net_tcp.html.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from brokenpipe.stack.processes.ports import Address
from brokenpipe.stack.processes.process import Child

SocketEnds = tuple[str, str]  # both ends, as the kernel writes them

_TABLES = ("tcp", "tcp6")
_TIME_WAIT = "06"  # we closed it: the kernel remembers it for a minute
_OPEN = frozenset({"01", "04", "05", "08", "09", "0B"})  # established, or being closed


@dataclass(slots=True)
class BypassDetector:
    """Counts, for each arm, the connections of its service to `addresses`, which are those behind its proxy.

    A service reaches them through its proxy only, so one such connection is proof of a bypass.
    """

    addresses: frozenset[Address]
    services: Mapping[str, Child]  # by arm, each in a namespace of its own
    _closed: dict[str, frozenset[SocketEnds]] = field(default_factory=dict)

    def __call__(self) -> dict[str, int | None]:
        """Connections that are open, and those closed by the service since the last call; None: not known.

        Closed ones count because a service that connects for each request may have none open at the moment of a call.
        """
        return {arm: self._count(arm, child) for arm, child in self.services.items()}

    def _count(self, arm: str, service: Child) -> int | None:
        # Checked before and after: the pid of one that has ended may belong to another one.
        sockets = read_connections(service.pid, self.addresses) if service.running else None
        if sockets is None or not service.running:
            return None
        closed = frozenset(socket for state, socket in sockets if state == _TIME_WAIT)
        before = self._closed.get(arm, closed)
        self._closed[arm] = closed
        return sum(state in _OPEN for state, _ in sockets) + len(closed - before)


def read_connections(pid: int, addresses: Iterable[Address]) -> list[tuple[str, SocketEnds]] | None:
    """State and ends of each TCP socket to one of these addresses in the namespace of a process; None: it ended."""
    peers = {written for address in addresses for written in _kernel_notation(address)}
    matches, tables = [], 0
    for table in _TABLES:
        with suppress(OSError):  # the process has ended, or there is no IPv6
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            tables += 1
            for _, local, peer, state, *_ in map(str.split, lines):
                if peer in peers:
                    matches.append((state, (local, peer)))
    return matches if tables else None


def _kernel_notation(address: Address) -> Iterator[str]:
    """Words of 32 bits as this machine holds them, in hexadecimal digits; an IPv4 address may stand in an IPv6 one."""
    host, port = ipaddress.IPv4Address(address[0]), address[1]
    for packed in (host.packed, bytes(10) + b"\xff\xff" + host.packed):
        words = struct.unpack(f"={len(packed) // 4}I", packed)
        yield "".join(f"{word:08X}" for word in words) + f":{port:04X}"
