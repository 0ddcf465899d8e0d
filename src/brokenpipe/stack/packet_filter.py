"""The kernel's packet filter in the run's own network namespace: whose packets are lost, told by port.

    client ── dport ∈ dropped ──x      proxy of an arm        what a client sends is never received,
    client      x── sport ∈ dropped ── proxy of an arm        and neither is what it is answered

Unlike a toxic this is real loss: nothing is acknowledged, the sender's own kernel retransmits and at last gives up.
Filtered is what comes in, since whoever sends must believe that its packets have left.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from brokenpipe.errors import ProxyError

_TABLE = "inet brokenpipe"
RULES = f"""
table {_TABLE} {{
    set dropped {{ type inet_service; }}
    chain input {{
        type filter hook input priority 0; policy accept;
        tcp dport @dropped drop
        tcp sport @dropped drop
    }}
}}
"""
TIMEOUT_S = 5.0  # measured: 30 ms


def program() -> str | None:
    """Where nft is, if it is installed: often in a folder that only root has on its PATH."""
    return shutil.which("nft", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


def dropping(port: int, on: bool) -> None:
    """Lose every packet to and from this port from now on, or none any more. Raises ProxyError.

    The caller knows that the filter is ours to change. One call is one transaction of the kernel's: it has happened
    when this returns. Said twice it is no mistake.
    """
    element = f"element {_TABLE} dropped {{ {port} }}"
    told = f"add {element}\n" + ("" if on else f"delete {element}\n")  # delete alone wants it to be there
    tell(told, what=f"port {port}")


def tell(told: str, *, what: str) -> None:
    """Have nft carry this out. Raises ProxyError, in which `what` says of what."""
    try:
        done = subprocess.run(
            [program() or "nft", "-f", "-"],
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
