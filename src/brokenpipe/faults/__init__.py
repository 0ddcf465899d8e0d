"""What can happen to the wire: one fault, one file, with its parameters and its contract.

To add one: a subclass of Fault with a `name` of its own, its toxics in NEUTRAL_TOXICS, itself in AnyFault; a
row in docs/faults.md; its parameters in tests/wire, where every fault is held to its contract.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from brokenpipe.faults.backend_kill import BackendKill
from brokenpipe.faults.base import Fault, How, Place, Situation
from brokenpipe.faults.black_hole import BLACK_HOLE_DOWNSTREAM, BLACK_HOLE_UPSTREAM, BlackHole
from brokenpipe.faults.commit_cut import COMMIT_LOST, REPLY_LOST, CommitCut
from brokenpipe.faults.contract import Contract, Since, SocketEffect, SocketExpectation
from brokenpipe.faults.idle_drop import IDLE_DROP, IdleDrop
from brokenpipe.faults.idle_reset import IDLE_RESET, IdleReset
from brokenpipe.faults.latency import LATENCY_DOWNSTREAM, LATENCY_UPSTREAM, Latency
from brokenpipe.faults.packet_drop import PacketDrop
from brokenpipe.faults.proxy_control import ProxyControl, Stream, Toxic
from brokenpipe.faults.refuse import Refuse
from brokenpipe.faults.server_control import ServerControl, StopMode
from brokenpipe.faults.server_pause import ServerPause
from brokenpipe.faults.server_restart import ServerRestart
from brokenpipe.faults.server_setting import ServerSetting
from brokenpipe.faults.socket_kill import KILL_SWITCH, SocketKill

# fmt: off
AnyFault = Annotated[
    SocketKill
    | Latency
    | IdleReset
    | IdleDrop
    | BlackHole
    | PacketDrop
    | Refuse
    | CommitCut
    | BackendKill
    | ServerRestart
    | ServerPause
    | ServerSetting,
    Field(discriminator="name"),
]
# fmt: on
"""Any fault, told apart by its `name`: what a scenario's `fault = { ... }` is parsed as."""

NEUTRAL_TOXICS: tuple[Toxic, ...] = (
    LATENCY_DOWNSTREAM,
    LATENCY_UPSTREAM,
    COMMIT_LOST,
    REPLY_LOST,
    KILL_SWITCH,
    IDLE_RESET,
    IDLE_DROP,
    BLACK_HOLE_DOWNSTREAM,
    BLACK_HOLE_UPSTREAM,
)
"""What every proxy carries, in the order of its chain. Latency stands first: what ends connections must not
wait behind it, and the last one upstream is ours, next to which arming can be switched without hanging."""

__all__ = [
    "BLACK_HOLE_DOWNSTREAM",
    "BLACK_HOLE_UPSTREAM",
    "COMMIT_LOST",
    "IDLE_DROP",
    "IDLE_RESET",
    "KILL_SWITCH",
    "LATENCY_DOWNSTREAM",
    "LATENCY_UPSTREAM",
    "NEUTRAL_TOXICS",
    "REPLY_LOST",
    "AnyFault",
    "BackendKill",
    "BlackHole",
    "CommitCut",
    "Contract",
    "Fault",
    "How",
    "IdleDrop",
    "IdleReset",
    "Latency",
    "PacketDrop",
    "Place",
    "ProxyControl",
    "Refuse",
    "ServerControl",
    "ServerPause",
    "ServerRestart",
    "ServerSetting",
    "Since",
    "Situation",
    "SocketEffect",
    "SocketExpectation",
    "SocketKill",
    "StopMode",
    "Stream",
    "Toxic",
]
