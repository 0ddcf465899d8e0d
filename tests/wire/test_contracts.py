"""Every fault is held to its contract, in every situation, on plain sockets through the real server."""

from __future__ import annotations

import time

import pytest
from tests.wire.inert import InertProxy

from brokenpipe.drive.self_test.wire import ScratchPostgres, self_test_faults
from brokenpipe.faults import (
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
    SocketEffect,
    SocketExpectation,
    SocketKill,
    fault_kinds,
)
from brokenpipe.stack.proxy.server import ToxiproxyServer

FAULTS = [
    SocketKill(),
    SocketKill(how="fin"),
    Latency(ms=25),
    Latency(ms=25, direction="upstream"),
    Latency(ms=40, jitter_ms=20),
    IdleReset(after_ms=300),
    IdleReset(after_ms=300, how="fin"),
    IdleReset(after_ms=300, when="next_packet"),
    IdleReset(after_ms=300, how="fin", when="next_packet"),
    IdleDrop(after_ms=300),
    BlackHole(),
    Refuse(),
    CommitCut(),
    BackendKill(),
    ServerRestart(),
    ServerRestart(mode="immediate", away_ms=200),
    ServerRestart(mode="kill"),
    ServerPause(),
    ServerSetting(setting="idle_session_timeout", after_ms=300),
    ServerSetting(setting="idle_in_transaction_session_timeout", after_ms=300),
    ServerSetting(setting="statement_timeout", after_ms=300),
    ServerSetting(setting="connection_limit", connections=3),
    ServerSetting(setting="default_transaction_read_only"),
]


def test_every_fault_is_held_to_its_contract() -> None:
    """No fault of the package is missing from the list above, but the one that takes a namespace of its own."""
    assert {type(fault) for fault in FAULTS} == set(fault_kinds()) - {PacketDrop}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_holds_its_contract(server: ToxiproxyServer, scratch: ScratchPostgres, fault: Fault) -> None:
    """Idle, fresh and in mid-transfer, a raw socket sees what the fault's contract says, when it says."""
    probes = self_test_faults([fault], server, scratch)
    assert [probe.situation for probe in probes] == ["idle", "fresh", "mid_transfer"]
    assert [str(probe) for probe in probes if not probe.held] == []


def test_the_certificate_notices_a_fault_that_did_not_land(
    server: ToxiproxyServer, scratch: ScratchPostgres
) -> None:
    """Injected on nothing, each fault fails its contract wherever that promises an effect."""
    faults = [SocketKill(), SocketKill(how="fin"), Latency(ms=25), IdleReset(after_ms=200)]
    faults += [IdleDrop(after_ms=200), BlackHole(), Refuse(), IdleReset(after_ms=200, when="next_packet")]
    probes = self_test_faults(faults, server, scratch, wire_of=lambda _: InertProxy())
    promised = [probe for probe in probes if not probe.expected.startswith("alive")]
    assert (
        len(promised) == 2 + 2 + 3 + 2 + 2 + 3 + 3 + 2
    )  # a kill spares what is fresh, an idle limit what is in mid-transfer
    assert [str(probe) for probe in promised if probe.held] == []
    assert {probe.seen for probe in promised} == {"alive"}


def test_the_certificate_notices_a_server_to_which_nothing_happened(
    server: ToxiproxyServer, scratch: ScratchPostgres
) -> None:
    """Injected on nothing, a fault at the server fails its contract wherever that promises an effect."""
    faults = [BackendKill(), ServerRestart(), ServerPause()]
    faults += [ServerSetting(setting="default_transaction_read_only")]
    probes = self_test_faults(faults, server, scratch, wire_of=lambda _: InertProxy())
    promised = [probe for probe in probes if not probe.expected.startswith("alive")]
    assert len(promised) == 2 + 3 + 3 + 1
    assert [str(probe) for probe in promised if probe.held] == []
    assert {probe.seen for probe in promised} == {"alive"}


def test_the_certificate_notices_the_wrong_end(server: ToxiproxyServer, scratch: ScratchPostgres) -> None:
    """A FIN where an RST was promised is no kept promise: here the arming was taken back."""

    def disarmed(proxy):
        proxy.set_rst_on_close(False)
        return proxy

    probes = self_test_faults([SocketKill(how="reset")], server, scratch, wire_of=disarmed)
    assert {probe.situation: probe.seen for probe in probes if not probe.held} == {
        "idle": "eof",
        "mid_transfer": "eof",
    }


def test_the_certificate_tells_at_once_from_at_the_next_byte(
    server: ToxiproxyServer, scratch: ScratchPostgres
) -> None:
    """An end in the rest is no answer to the next byte, and a connection that lives till then did not end at once."""

    class Otherwise:
        def __init__(self, proxy):
            self.proxy = proxy

        def update(self, toxic, /, **attributes):
            if "next_packet" in attributes:
                attributes["next_packet"] ^= attributes["idle_ms"] > 0
            self.proxy.update(toxic, **attributes)

    faults = [IdleReset(after_ms=200), IdleReset(after_ms=200, when="next_packet")]
    probes = self_test_faults(faults, server, scratch, wire_of=Otherwise)  # type: ignore[arg-type]
    promised = [probe for probe in probes if not probe.expected.startswith("alive")]
    assert len(promised) == 4
    assert [str(probe) for probe in promised if probe.held] == []


def test_the_certificate_is_quick(server: ToxiproxyServer, scratch: ScratchPostgres) -> None:
    """Kill and latency take less than 2 s; with an idle limit of a second, or of an hour, less than 3 s."""
    started = time.monotonic()
    self_test_faults([SocketKill(), Latency(ms=25)], server, scratch)
    kill_and_latency_s = time.monotonic() - started
    probes = self_test_faults([SocketKill(), Latency(ms=25), IdleReset(after_ms=590_000)], server, scratch)
    all_three_s = time.monotonic() - started - kill_and_latency_s
    assert (kill_and_latency_s < 2, all_three_s < 3) == (True, True), (kill_and_latency_s, all_three_s)
    assert [str(probe) for probe in probes if not probe.held] == []


def test_the_certificate_leaves_no_proxy_behind(server: ToxiproxyServer, scratch: ScratchPostgres) -> None:
    """Its scratch proxies are gone from the server when it returns."""
    before = server.proxies
    self_test_faults([SocketKill(), SocketKill()], server, scratch)
    assert server.proxies == before
    assert self_test_faults([], server, scratch) == []


@pytest.mark.parametrize(
    ("seen", "after_s", "met", "chance"),
    [
        ("eof", 0.300, True, False),
        ("eof", 0.320, True, False),
        ("eof", 0.321, False, True),  # late: the machine may have been busy
        ("eof", 0.290, False, False),  # early: never
        ("reset", 0.310, False, True),  # closed with a message unread
        ("alive", 0.310, False, False),
        ("silence", 0.310, False, False),
    ],
)
def test_only_what_can_be_chance_is_looked_at_again(
    seen: SocketEffect, after_s: float, met: bool, chance: bool
) -> None:
    """An expectation tells what keeps it, what breaks it, and what may be the machine's doing."""
    expected = SocketExpectation("eof", "last_byte", 0.300, 0.320)
    assert expected.met_by(seen, after_s) is met
    assert expected.missed_by_chance(seen, after_s) is chance
    assert not SocketExpectation("reset", "injection", 0, 0.02).missed_by_chance("eof", 0.01)
