"""Faults: what can happen to the connection between a service and Postgres. Each stands in one file.

A file holds everything that is known about its fault: parameters, contract, toxics, what it can cause. To add one: a
subclass of Fault in a file of its own, its class in `registry.BUILT_IN`, a section in docs/faults.md. A fault of
another distribution is registered by an entry point, see registry.py.
"""

from __future__ import annotations

from brokenpipe.faults.any_fault import AnyFault
from brokenpipe.faults.backend_kill import BackendKill
from brokenpipe.faults.base import Fault, How, Place, ServerEnds, Situation
from brokenpipe.faults.black_hole import BLACK_HOLE_DOWNSTREAM, BLACK_HOLE_UPSTREAM, BlackHole
from brokenpipe.faults.commit_cut import COMMIT_LOST, REPLY_LOST, CommitCut
from brokenpipe.faults.contract import Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.idle_drop import IDLE_DROP, IdleDrop
from brokenpipe.faults.idle_reset import IDLE_RESET, IdleReset
from brokenpipe.faults.latency import LATENCY_DOWNSTREAM, LATENCY_UPSTREAM, Latency
from brokenpipe.faults.packet_drop import PacketDrop
from brokenpipe.faults.proxy_control import ProxyControl, Stage, Stream, Toxic
from brokenpipe.faults.refuse import Refuse
from brokenpipe.faults.registry import (
    check_plugins,
    fault_kind,
    fault_kinds,
    faults_with,
    neutral_toxics,
    registry,
)
from brokenpipe.faults.server_control import ServerControl, StopMode
from brokenpipe.faults.server_pause import ServerPause
from brokenpipe.faults.server_restart import ServerRestart
from brokenpipe.faults.server_setting import ServerSetting
from brokenpipe.faults.socket_kill import KILL_SWITCH, SocketKill
from brokenpipe.time_origin import Since

__all__ = [
    "BLACK_HOLE_DOWNSTREAM",
    "BLACK_HOLE_UPSTREAM",
    "COMMIT_LOST",
    "IDLE_DROP",
    "IDLE_RESET",
    "KILL_SWITCH",
    "LATENCY_DOWNSTREAM",
    "LATENCY_UPSTREAM",
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
    "ServerEnds",
    "ServerPause",
    "ServerRestart",
    "ServerSetting",
    "Since",
    "Situation",
    "SocketEffect",
    "SocketExpectation",
    "SocketKill",
    "Stage",
    "StopMode",
    "Stream",
    "Toxic",
    "check_plugins",
    "fault_kind",
    "fault_kinds",
    "faults_with",
    "neutral_toxics",
    "registry",
]
