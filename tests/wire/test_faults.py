"""A fault is read strictly, and undoes exactly what it did."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import TypeAdapter, ValidationError

from brokenpipe.faults import (
    AnyFault,
    BackendKill,
    BlackHole,
    CommitCut,
    Fault,
    IdleDrop,
    IdleReset,
    Latency,
    PacketDrop,
    Refuse,
    ServerPause,
    ServerRestart,
    ServerSetting,
    SocketKill,
    fault_kinds,
    neutral_toxics,
)

FAULT: TypeAdapter[Fault] = TypeAdapter(AnyFault)
ALL = [
    SocketKill(),
    Latency(ms=25),
    Latency(ms=25, direction="upstream"),
    IdleReset(after_ms=1000),
    IdleReset(after_ms=1000, when="next_packet"),
    IdleDrop(after_ms=1000),
    BlackHole(),
    PacketDrop(),
    Refuse(),
    CommitCut(),
    CommitCut(lost="commit"),
    BackendKill(),
    ServerRestart(mode="immediate"),
    ServerRestart(mode="kill"),
    ServerPause(),
    ServerSetting(setting="statement_timeout", after_ms=500),
    ServerSetting(setting="connection_limit", connections=5),
    ServerSetting(setting="default_transaction_read_only"),
]


class Ledger:
    """A wire, and the server behind it, that only remember: what is asked of them is what is tested here."""

    pooled = False

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.toxics = {toxic.name: dict(toxic.neutral) for toxic in neutral_toxics()}
        self.kills = 0
        self.refuses = False
        self.drops = False
        self.still = False

    def update(self, toxic: str, /, **attributes: int) -> None:
        self.toxics[toxic] |= attributes

    def kill(self) -> None:
        self.kills += 1

    def refuse(self) -> None:
        self.refuses = True

    def accept(self) -> None:
        self.refuses = False

    def drop(self, on: bool, /) -> None:
        self.drops = on

    @property
    def server(self) -> Ledger:
        return self

    def terminate(self) -> None:
        self.kills += 1

    def set(self, setting: str, value: str | None) -> None:
        self.settings = {setting: value} if value is not None else {}

    def pause(self) -> None:
        self.still = True

    def resume(self) -> None:
        self.still = False

    def restart(
        self, _mode: str, _away_s: float, *, on_stopped: Callable[[], None], on_listening: Callable[[], None]
    ) -> None:
        self.kills += 1
        on_stopped()
        assert self.refuses
        on_listening()


@pytest.mark.parametrize("fault", ALL, ids=str)
def test_a_fault_is_what_its_parameters_say(fault: Fault) -> None:
    """What a scenario writes is what comes out, told apart by its name."""
    assert FAULT.validate_python(fault.model_dump()) == fault


@pytest.mark.parametrize(
    "written",
    [
        {"name": "sockt_kill"},
        {"name": "socket_kill", "how": "rst"},
        {"name": "socket_kill", "after_ms": 5},
        {"name": "latency"},
        {"name": "latency", "ms": 0},
        {"name": "latency", "ms": 25.0},
        {"name": "latency", "ms": "25"},
        {"name": "latency", "ms": 25, "jitter_ms": 26},
        {"name": "latency", "ms": 25, "direction": "down"},
        {"name": "idle_reset", "after_s": 1},
        {"name": "idle_reset", "after_ms": 1},
        {"name": "idle_reset", "after_ms": True},
        {"name": "idle_reset", "after_ms": 300, "when": "later"},
        {"name": "idle_drop"},
        {"name": "black_hole", "after_ms": 100},
        {"name": "packet_drop", "percent": 5},
        {"name": "refuse", "how": "fin"},
        {"name": "commit_cut", "lost": "rollback"},
        {"name": "server_restart", "mode": "smart"},
        {"name": "server_pause", "seconds": 3},
        {"name": "server_setting", "setting": "work_mem"},
        {"name": "server_setting", "setting": "statement_timeout"},
        {"name": "server_setting", "setting": "statement_timeout", "connections": 3},
        {"name": "server_setting", "setting": "connection_limit", "after_ms": 300},
        {"name": "server_setting", "setting": "default_transaction_read_only", "after_ms": 300},
    ],
    ids=str,
)
def test_a_mistake_is_refused(written: dict[str, object]) -> None:
    """A wrong name, key, type, unit or bound is an error, never a default."""
    with pytest.raises(ValidationError):
        FAULT.validate_python(written)


@pytest.mark.parametrize("fault", ALL, ids=str)
def test_healing_leaves_a_wire_neutral(fault: Fault) -> None:
    """A fault changes only toxics that it asked for; healed, the wire is as it was made."""
    wire, whole = Ledger(), Ledger()
    fault.inject(wire)
    changed = {name for name, attributes in wire.toxics.items() if attributes != whole.toxics[name]}
    assert changed <= {toxic.name for toxic in fault.toxics()}
    broken = bool(changed) or wire.refuses or wire.drops or bool(wire.settings) or wire.still
    assert broken is (fault.deferred or not fault.momentary)
    assert wire.kills == int(fault.momentary and not fault.deferred)
    fault.heal(wire)
    assert (wire.toxics, wire.refuses, wire.drops, wire.settings) == (whole.toxics, False, False, {})
    assert not wire.still


@pytest.mark.parametrize("fault", ALL, ids=str)
def test_every_proxy_carries_what_a_fault_needs(fault: Fault) -> None:
    """Its toxics are among those that proxies are made with; none is added to a live connection."""
    assert set(map(id, fault.toxics())) <= set(map(id, neutral_toxics()))


def test_every_fault_is_tested_here() -> None:
    """No fault of the package is missing from the list above."""
    assert {type(fault) for fault in ALL} == set(fault_kinds())


@pytest.mark.parametrize("kind", fault_kinds(), ids=lambda kind: kind.fault_name())
def test_the_doctor_tests_every_fault_with_parameters_of_its_own(kind: type[Fault]) -> None:
    """Each fault names the ways in which it is tested; packet loss, which takes a namespace, has none."""
    assert bool(kind.variants()) is not kind.in_namespace
    assert len(set(kind.variants())) == len(kind.variants())


@pytest.mark.parametrize("fault", ALL, ids=str)
def test_what_a_fault_causes_agrees_with_its_contract(fault: Fault) -> None:
    """What attribution is told of a fault is what its contract shows on a socket, and no parameters add to its kind."""
    seen = fault.contract.mid_transfer.seen
    assert fault.silences is (seen == "silence")
    assert fault.delays is (seen == "delayed") is (fault.delay_ms > 0)
    assert not fault.spares_active or seen in {"alive", "delayed"}
    assert fault.causes <= fault.can_cause


def test_a_chain_of_toxics_waits_before_it_ends() -> None:
    """Latency stands first: what ends a connection is not held up by what delays its bytes."""
    assert [toxic.name for toxic in neutral_toxics()] == [
        "latency_downstream",
        "latency_upstream",
        "commit_lost",
        "reply_lost",
        "kill_switch",
        "idle_reset",
        "idle_drop",
        "black_hole_upstream",
        "black_hole_downstream",
    ]


def test_only_resets_are_armed() -> None:
    """A connection must be opened to end by RST exactly when the fault says reset."""
    assert [SocketKill(how=how).armed for how in ("reset", "fin")] == [True, False]
    assert [IdleReset(after_ms=99, how=how).armed for how in ("reset", "fin")] == [True, False]
    assert not Latency(ms=25).armed


def test_an_idle_limit_that_ends_at_once_undoes_one_that_waits() -> None:
    """One after the other without a heal between them, each has what it asks for."""
    wire = Ledger()
    IdleReset(after_ms=99, when="next_packet").inject(wire)
    assert wire.toxics["idle_reset"] == {"idle_ms": 99, "next_packet": 1}
    IdleReset(after_ms=99).inject(wire)
    assert wire.toxics["idle_reset"] == {"idle_ms": 99, "next_packet": 0}


def test_a_brief_fault_differs_in_its_times_alone() -> None:
    """What is probed instead of an hour's idle limit is the same fault with a second's."""
    assert IdleReset(after_ms=590_000, how="fin").shortened() == IdleReset(after_ms=1000, how="fin")
    assert Latency(ms=25, jitter_ms=5).shortened() == Latency(ms=25, jitter_ms=5)
    assert SocketKill().shortened() == SocketKill()
