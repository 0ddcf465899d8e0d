"""The connections of a network namespace, read from outside: /proc/PID/net of any process in it.

The kernel lets everybody read it. So a service in a container is seen to go past its proxy by its own sockets, though
nobody else's table has them: https://docs.kernel.org/networking/proc_net_tcp.html.
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
    """Counts, for each arm, the connections of its service to `places`: to what its proxy stands before.

    A service has no business there, so that one sight is proof.
    """

    places: frozenset[Address]
    services: Mapping[str, Child]  # by arm, each in a namespace of its own
    _closed: dict[str, frozenset[SocketEnds]] = field(default_factory=dict)

    def __call__(self) -> dict[str, int | None]:
        """Those that are open, and those that the service has closed since the last call; None: not known.

        A service that opens one for each request may have none open at any look.
        """
        return {arm: self._look(arm, child) for arm, child in self.services.items()}

    def _look(self, arm: str, service: Child) -> int | None:
        # Asked before and after: the pid of one that has ended may be a stranger's.
        there = read_connections(service.pid, self.places) if service.running else None
        if there is None or not service.running:
            return None
        closed = frozenset(socket for state, socket in there if state == _TIME_WAIT)
        before = self._closed.get(arm, closed)
        self._closed[arm] = closed
        return sum(state in _OPEN for state, _ in there) + len(closed - before)


def read_connections(pid: int, places: Iterable[Address]) -> list[tuple[str, SocketEnds]] | None:
    """State and ends of each TCP socket to one of these places in the namespace of a process; None: it is gone."""
    peers = {written for place in places for written in _kernel_notation(place)}
    found, tables = [], 0
    for table in _TABLES:
        with suppress(OSError):  # the process has ended, or there is no IPv6
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            tables += 1
            for _, ours, peer, state, *_ in map(str.split, lines):
                if peer in peers:
                    found.append((state, (ours, peer)))
    return found if tables else None


def _kernel_notation(place: Address) -> Iterator[str]:
    """Words of 32 bits as this machine holds them, in hexadecimal digits; an IPv4 address may stand in an IPv6 one."""
    address, port = ipaddress.IPv4Address(place[0]), place[1]
    for packed in (address.packed, bytes(10) + b"\xff\xff" + address.packed):
        words = struct.unpack(f"={len(packed) // 4}I", packed)
        yield "".join(f"{word:08X}" for word in words) + f":{port:04X}"
