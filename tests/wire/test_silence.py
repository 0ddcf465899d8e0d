"""Faults that nobody is told of: a hole in the wire, and a connection that somebody in between has forgotten."""

from __future__ import annotations

import socket
import time

import pytest

from brokenpipe.drive.detection.detect import detect_held
from brokenpipe.drive.raw_postgres.raw_socket import wait_for_end
from brokenpipe.faults import BlackHole, Fault, IdleDrop, Refuse

QUIET_NS = 200_000_000


def answered(connection: socket.socket) -> bool:
    """Does an echo come back? What arrives late, or not at all, does not count."""
    connection.settimeout(QUIET_NS / 1e9)
    connection.sendall(b"?")
    try:
        return connection.recv(1) == b"?"
    except TimeoutError:
        return False


def test_a_black_hole_closes_what_it_held_when_it_is_healed(make_proxy, open_socket) -> None:
    """No answer and no end while it lasts; then a FIN, and what opens after that is as good as new."""
    proxy = make_proxy()
    connection = open_socket(proxy)
    BlackHole().inject(proxy)
    assert not answered(connection)
    BlackHole().heal(proxy)
    sighting = wait_for_end(connection, time.monotonic_ns() + QUIET_NS)
    assert sighting is not None
    assert sighting.seen == "eof"
    assert answered(open_socket(proxy))


def test_a_black_hole_holds_back_answers_that_were_under_way(server) -> None:
    """A server that goes on talking into the hole is not heard."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        server.scratch_proxy(listener.getsockname()) as proxy,
        socket.create_connection((proxy.host, proxy.port)) as client,
        listener.accept()[0] as talker,
    ):
        talker.sendall(b"before")
        client.settimeout(QUIET_NS / 1e9)
        assert client.recv(6) == b"before"
        BlackHole().inject(proxy)
        talker.sendall(b"after")
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_forgotten_connection_stays_forgotten(make_proxy, open_socket) -> None:
    """Silent beyond the limit, a connection never answers again, healed or not; another one does."""
    proxy = make_proxy()
    fault = IdleDrop(after_ms=100)
    fault.inject(proxy)
    connection = open_socket(proxy)
    assert wait_for_end(connection, time.monotonic_ns() + QUIET_NS) is None
    assert not answered(connection)
    fault.heal(proxy)
    assert not answered(connection)
    assert answered(open_socket(proxy))


def test_refusal_ends_with_its_heal(make_proxy, open_socket) -> None:
    """Refused each time it is tried; healed, the same port answers."""
    proxy = make_proxy()
    port = proxy.port
    Refuse().inject(proxy)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            open_socket(proxy)
    Refuse().heal(proxy)
    assert proxy.port == port
    assert answered(open_socket(proxy))


@pytest.mark.parametrize("fault", [BlackHole(), Refuse()], ids=str)
def test_a_held_fault_is_seen_in_the_middle_of_an_experiment(make_proxy, fault: Fault) -> None:
    """A raw socket testifies that it landed while it is there, and that it did not once it is healed."""
    proxy = make_proxy()
    fault.inject(proxy)
    seen = detect_held(proxy, fault, None)
    assert (seen.landed, seen.seen) == (True, fault.contract.fresh.seen)
    fault.heal(proxy)
    assert not detect_held(proxy, fault, None).landed
