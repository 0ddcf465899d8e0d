"""The kernel's packet filter in a network namespace of the run's: whose packets are lost, told by port.

    client ── dport ∈ dropped ──x      proxy of an arm        what a client sends is never received,
    client      x── sport ∈ dropped ── proxy of an arm        and neither is what it is answered

Unlike a toxic this is real loss: nothing is acknowledged, the sender's own kernel retransmits and at last gives up.
Filtered is what comes in, since whoever sends must believe that its packets have left. So where client and proxy are in
namespaces of their own, both have the rules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from brokenpipe.errors import ProxyError

_TABLE = "inet brokenpipe"
TIMEOUT_S = 5.0  # measured: 30 ms


@dataclass(frozen=True, slots=True)
class NetNs:
    """In which namespace rules are laid out and changed: one that an open file stands for; None: our own."""

    file: int | None = None

    @property
    def prefix(self) -> tuple[str, ...]:
        """Of a command that is to happen in there."""
        return () if self.file is None else ("nsenter", f"--net=/proc/self/fd/{self.file}", "--")

    @property
    def inherited(self) -> tuple[int, ...]:
        """The files that such a command needs."""
        return () if self.file is None else (self.file,)


CURRENT = NetNs()


def drop_rules(host: str) -> str:
    """Those of a namespace in which nothing is lost yet. Proxies are at that address: no other port is meant."""
    return f"""
table {_TABLE} {{
    set dropped {{ type inet_service; }}
    chain input {{
        type filter hook input priority 0; policy accept;
        ip daddr {host} tcp dport @dropped drop
        ip saddr {host} tcp sport @dropped drop
    }}
}}
"""


def find_nft() -> str | None:
    """Where nft is, if it is installed: often in a folder that only root has on its PATH."""
    return shutil.which("nft", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


def set_packet_loss(port: int, on: bool, netns: NetNs = CURRENT) -> None:
    """Lose every packet to and from this port from now on, or none any more. Raises ProxyError.

    The caller knows that the filter is ours to change. One call is one transaction of the kernel's: it has happened
    when this returns. Said twice it is no mistake.
    """
    element = f"element {_TABLE} dropped {{ {port} }}"
    told = f"add {element}\n" + ("" if on else f"delete {element}\n")  # delete alone wants it to be there
    run_nft(told, what=f"port {port}", netns=netns)


def run_nft(told: str, *, what: str, netns: NetNs = CURRENT) -> None:
    """Have nft carry this out. Raises ProxyError, in which `what` says of what."""
    try:
        done = subprocess.run(
            [*netns.prefix, find_nft() or "nft", "-f", "-"],
            pass_fds=netns.inherited,
            input=told,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        said, failed = done.stderr, done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        said, failed = str(error), True
    if failed:
        raise ProxyError(
            f"the packet filter did not change for {what}",
            remedy="`brokenpipe doctor` says whether packets can be dropped here.",
            details=tuple(said.splitlines()[:3]),
        )
