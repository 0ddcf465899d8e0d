"""A delay is as long as asked, and takes nothing with it when it goes."""

from __future__ import annotations

import statistics
import time
from typing import Literal

import pytest

from brokenpipe.drive.observers.echo_traffic import EchoTraffic
from brokenpipe.faults import Latency
from brokenpipe.faults.contract import DELAY_LATE_S

pytestmark = pytest.mark.exclusive  # milliseconds count

MS = 1_000_000


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
@pytest.mark.parametrize("ms", [5, 50])
def test_a_round_trip_takes_that_much_longer(
    make_proxy, open_socket, ms: int, direction: Literal["upstream", "downstream"]
) -> None:
    """The median round trip is never shorter than the delay and at most 2 ms longer; healed, it is short."""
    proxy = make_proxy()
    fault = Latency(ms=ms, direction=direction)
    talk = EchoTraffic(open_socket(proxy))
    fault.inject(proxy)
    talk.send_and_receive(time.monotonic_ns() + 300 * MS)
    talk.receive_rest(time.monotonic_ns() + 1000 * MS)
    delayed, answered = statistics.median(talk.delays_ns) / MS, talk.sent
    fault.heal(proxy)
    talk.send_and_receive(time.monotonic_ns() + 100 * MS)
    talk.receive_rest(time.monotonic_ns() + 1000 * MS)
    assert ms <= delayed <= ms + DELAY_LATE_S * 1000
    assert statistics.median(talk.delays_ns[answered:]) / MS < DELAY_LATE_S * 1000


def test_jitter_varies_the_delay_within_its_bounds(make_proxy, open_socket) -> None:
    """Delays of 40 ± 20 ms spread over most of that range and never leave it downwards."""
    proxy = make_proxy()
    talk = EchoTraffic(open_socket(proxy))
    Latency(ms=40, jitter_ms=20).inject(proxy)
    talk.send_and_receive(time.monotonic_ns() + 500 * MS)
    talk.receive_rest(time.monotonic_ns() + 1000 * MS)
    delays_ms = [delay / MS for delay in talk.delays_ns]
    assert min(delays_ms) >= 20
    assert (
        statistics.stdev(delays_ms) > 3
    )  # an even spread alone has 11.5; order makes late ones hold up others
    assert statistics.median(delays_ms) <= 60 + DELAY_LATE_S * 1000


def test_injecting_and_healing_lose_no_byte(make_proxy, open_socket) -> None:
    """In a steady conversation every message comes back, in order, through ten injections and heals."""
    proxy = make_proxy()
    fault = Latency(ms=30)
    talk = EchoTraffic(open_socket(proxy))
    for _ in range(10):
        talk.send_and_receive(time.monotonic_ns() + 20 * MS)
        fault.inject(proxy)
        talk.send_and_receive(time.monotonic_ns() + 20 * MS)
        fault.heal(proxy)
    talk.receive_rest(time.monotonic_ns() + 1000 * MS)
    assert talk.complete
    assert talk.sent > 40


def test_a_large_answer_survives_a_heal(make_proxy, open_socket) -> None:
    """Megabytes that are waiting out their delay when it is healed arrive whole."""
    proxy = make_proxy()
    fault = Latency(ms=200)
    connection = open_socket(proxy)
    connection.settimeout(5)
    fault.inject(proxy)
    sent = bytes(range(256)) * 2_000
    connection.sendall(sent)
    fault.heal(proxy)
    received = bytearray()
    while len(received) < len(sent):
        received += connection.recv(1_000_000)
    assert received == sent
