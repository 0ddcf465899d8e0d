"""The kernel's packet filter in a network namespace of the run's: packets are dropped by port.

    client ── dport ∈ dropped ──x      proxy of an arm        what a client sends is never received,
    client      x── sport ∈ dropped ── proxy of an arm        and neither is what it is answered

Unlike a toxic this is real loss: nothing is acknowledged, the sender's own kernel retransmits and at last gives up.
Incoming packets are filtered, because a sender must believe that its packets have left. So where client and proxy are
in namespaces of their own, both have the rules.
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
    """The namespace whose rules are changed: the one of an open file, or without a file our own."""

    file: int | None = None

    @property
    def prefix(self) -> tuple[str, ...]:
        """Put in front of a command, it runs the command in this namespace."""
        return () if self.file is None else ("nsenter", f"--net=/proc/self/fd/{self.file}", "--")

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors that such a command inherits."""
        return () if self.file is None else (self.file,)


CURRENT = NetNs()


def drop_rules(host: str) -> str:
    """Rules of a namespace in which nothing is dropped yet. They concern ports at `host` only: those of the proxies."""
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
    """Path of the program nft, if it is installed: often in a folder that only root has on its PATH."""
    return shutil.which("nft", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


def set_packet_loss(port: int, on: bool, netns: NetNs = CURRENT) -> None:
    """Drop every packet to and from this port from now on, or none any more. Raises ProxyError.

    The caller has made sure that the filter is available. One call is one transaction of the kernel: it is done when
    this returns. Repeating a call is harmless.
    """
    element = f"element {_TABLE} dropped {{ {port} }}"
    script = f"add {element}\n" + ("" if on else f"delete {element}\n")  # delete alone wants it to be there
    run_nft(script, subject=f"port {port}", netns=netns)


def run_nft(script: str, *, subject: str, netns: NetNs = CURRENT) -> None:
    """Run a script of nft. Raises ProxyError, whose message names `subject`."""
    try:
        done = subprocess.run(
            [*netns.prefix, find_nft() or "nft", "-f", "-"],
            pass_fds=netns.inherited,
            input=script,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        output, failed = done.stderr, done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        output, failed = str(error), True
    if failed:
        raise ProxyError(
            f"the packet filter did not change for {subject}",
            remedy="`brokenpipe doctor` says whether packets can be dropped here.",
            details=tuple(output.splitlines()[:3]),
        )
