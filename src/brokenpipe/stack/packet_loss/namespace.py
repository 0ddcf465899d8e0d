"""A network namespace of the run's own, with a loopback, a packet filter, and nothing else.

    brokenpipe run … ──▶ unshare --net ──▶ the same command again, and all that it starts

Losing packets takes the kernel's packet filter, and a load test must not change that of the machine. In a fresh
namespace no rule of anybody else can be met, and nothing can leave the machine. It ends with the last process in it,
and the rules with it, whatever way the run went. Without root a user namespace lends the rights for it, where the
kernel allows that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from brokenpipe.errors import NamespaceError
from brokenpipe.stack.packet_loss import nftables
from brokenpipe.stack.processes.ports import LOOPBACK

OUTER_VARIABLE = "BROKENPIPE_LEFT_NAMESPACE"
"""Names the network namespace that this program has left for one of its own."""

CURRENT_NETNS = Path("/proc/self/ns/net")
"""The network namespace that this program is in."""

_SIOCSIFFLAGS = 0x8914  # <linux/sockios.h>
_IFF_UP = 0x1  # <linux/if.h>
TRIAL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class EntryMethod:
    """A way to enter a fresh namespace: a command prefix, and its name in messages."""

    name: str
    prefix: tuple[str, ...]


AS_ROOT = EntryMethod("as root", ("unshare", "--net", "--"))
AS_USER = EntryMethod("in a user namespace", ("unshare", "--user", "--map-root-user", "--net", "--"))
INTO_CONTAINERS = EntryMethod("as root", ("nsenter", f"--net={CURRENT_NETNS}", "--", *AS_ROOT.prefix))
"""Tried on our own, which belongs to root of this machine as those of its containers do; the filter on a fresh one."""


def is_inside() -> bool:
    """Whether this program is in a namespace of its own."""
    outer = os.environ.get(OUTER_VARIABLE)
    return bool(outer) and _netns_id() not in {"", outer}


def find_entry_method() -> EntryMethod:
    """The first method that works here, tried with all that a run needs. Raises NamespaceError."""
    _require_programs("unshare", "nft")
    return _first_working(
        (AS_ROOT, AS_USER) if os.geteuid() == 0 else (AS_USER,),
        "packets cannot be dropped here: the kernel gives no network namespace with a packet filter",
        remedy="Run as root, or allow user namespaces (sysctl user.max_user_namespaces, user.max_net_namespaces, "
        "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or use black_hole.",
    )


def find_container_entry_method() -> EntryMethod:
    """The method to drop packets in the namespace of a container, tried on our own. Raises NamespaceError."""
    _require_programs("nsenter", "unshare", "nft")
    return _first_working(
        (INTO_CONTAINERS,),
        "packets cannot be dropped in containers here: only root of this machine may enter their networks",
        remedy="Run as root, or leave --stack compose out (the local stack needs no root where the kernel allows user "
        "namespaces), or use black_hole.",
    )


def _require_programs(*programs: str) -> None:
    """Raises NamespaceError if one of them is not installed."""
    if missing := [name for name in programs if not _find_program(name)]:
        raise NamespaceError(
            f"packets cannot be dropped here: there is no {' and no '.join(missing)}",
            remedy="Install nftables and util-linux (Linux only), or use the fault black_hole.",
        )


def _first_working(methods: Sequence[EntryMethod], message: str, *, remedy: str) -> EntryMethod:
    """The first of these methods that works. Raises NamespaceError, which lists all that were tried."""
    tried = []
    for method in methods:
        problem = _try_method(method)
        if problem is None:
            return method
        tried.append(f"{method.name}: {' '.join(method.prefix)} nft -f -: {problem}")
    raise NamespaceError(message, remedy=remedy, details=tuple(tried))


def enter(command: Sequence[str]) -> NoReturn:
    """Replace this program by a command in a fresh namespace: same process, same terminal. Raises NamespaceError.

    Call it before anything is started: processes that run already stay in the old namespace.
    """
    method = find_entry_method()
    os.environ[OUTER_VARIABLE] = _netns_id()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(method.prefix[0], [*method.prefix, *command])  # noqa: S606


def set_up() -> None:
    """Inside the namespace, bring its loopback up and set the packet filter.

    Raises NamespaceError or ProxyError.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    except OSError as error:
        raise NamespaceError(
            f"the loopback of the run's namespace does not come up: {error.strerror}"
        ) from error
    nftables.run_nft(nftables.drop_rules(LOOPBACK), subject="the run's namespace")


def _try_method(method: EntryMethod) -> str | None:
    """The first line of the error of this method; None: it works."""
    nft = nftables.find_nft() or "nft"
    try:
        done = subprocess.run(
            [*method.prefix, nft, "-f", "-"],
            input=nftables.drop_rules(LOOPBACK),
            capture_output=True,
            text=True,
            timeout=TRIAL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]


def _find_program(name: str) -> str | None:
    return nftables.find_nft() if name == "nft" else shutil.which(name)


def _netns_id() -> str:
    try:
        return str(CURRENT_NETNS.readlink())
    except OSError:  # no Linux
        return ""
