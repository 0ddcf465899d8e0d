"""A sentinel testifies about the way to a real Postgres, without a password."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from brokenpipe.drive.detection.detect import detect_held
from brokenpipe.drive.detection.tcp_sentinel import Sentinel
from brokenpipe.faults import IdleReset, Latency, SocketKill
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.proxy.proxy import Proxy

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def proxy(server, running: Postgres) -> Iterator[Proxy]:
    with server.scratch_proxy((running.host, running.port), rst_on_close=True) as made:
        yield made


def test_a_sentinel_sees_a_strike_when_it_happens(proxy: Proxy) -> None:
    """The end is timed when it arrives: asked half a second later, the sentinel tells the earlier time."""
    with Sentinel.open(proxy.host, proxy.port) as sentinel:
        before_ns = time.monotonic_ns()
        SocketKill().inject(proxy)
        time.sleep(0.5)
        seen, at_ns = sentinel.end(1.0)
    assert seen == "reset"
    assert 0 <= (at_ns - before_ns) / 1e9 < 0.25


def test_a_sentinel_tells_fin_from_reset(server, running: Postgres) -> None:
    """Through a proxy that is not armed the same strike is an EOF."""
    with (
        server.scratch_proxy((running.host, running.port)) as unarmed,
        Sentinel.open(unarmed.host, unarmed.port) as sentinel,
    ):
        SocketKill(how="fin").inject(unarmed)
        assert sentinel.end(1.0)[0] == "eof"


def test_a_sentinel_is_idle(proxy: Proxy) -> None:
    """An idle limit ends it after the limit, as it would a connection in a pool."""
    IdleReset(after_ms=300).inject(proxy)
    with Sentinel.open(proxy.host, proxy.port) as sentinel:
        opened_ns = time.monotonic_ns()
        seen, at_ns = sentinel.end(2.0)
    assert seen == "reset"
    assert 0.28 <= (at_ns - opened_ns) / 1e9 <= 0.5  # the last byte left a round trip before `opened_ns`


def test_a_sentinel_meets_the_end_with_its_next_byte(proxy: Proxy) -> None:
    """Behind a limit that ends nothing before the next byte, a sentinel rests, asks and is answered by RST."""
    fault = IdleReset(after_ms=300, when="next_packet")
    fault.inject(proxy)
    testimony = detect_held(proxy, fault, None)
    assert (testimony.seen, testimony.landed) == ("reset", True), testimony


def test_an_end_in_the_rest_is_no_end_at_the_next_byte(proxy: Proxy) -> None:
    """A connection that ended by itself did not wait for its client, and one that lives was not forgotten."""
    fault = IdleReset(after_ms=300, when="next_packet")
    IdleReset(after_ms=300).inject(proxy)
    assert not detect_held(proxy, fault, None).landed
    fault.heal(proxy)
    testimony = detect_held(proxy, fault, None)
    assert (testimony.seen, testimony.landed) == ("silence", False)


def test_nothing_happened_is_told_as_alive(proxy: Proxy) -> None:
    """A sentinel whose wire is whole says so, by one more answer from Postgres."""
    with Sentinel.open(proxy.host, proxy.port) as sentinel:
        assert sentinel.end(0.2)[0] == "alive"


def test_a_round_trip_shows_a_delay(proxy: Proxy) -> None:
    """Through a delayed wire no sentinel's round trip is shorter than the delay, and the best of five is near it.

    Each has Postgres start a process first, which on a busy machine can take as long again.
    """
    Latency(ms=80).inject(proxy)
    trips_ms = []
    for _ in range(5):
        with Sentinel.open(proxy.host, proxy.port) as sentinel:
            trips_ms.append(sentinel.round_trip_ms)
    assert 80 <= min(trips_ms) <= 110, trips_ms


def test_a_refused_sentinel_says_so(proxy: Proxy) -> None:
    """No listener: ConnectionRefusedError, as a pool would get."""
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        Sentinel.open(proxy.host, proxy.port)


def test_a_server_that_is_no_postgres_is_noticed(make_proxy) -> None:
    """An echo is not the answer of a Postgres."""
    proxy = make_proxy()
    with pytest.raises(OSError, match="is it Postgres"):
        Sentinel.open(proxy.host, proxy.port)
