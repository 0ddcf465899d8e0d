"""Observers of a fault on plain sockets, one for each situation of a pooled connection: idle, fresh, in mid-transfer.

An observer opens its connection, calls `inject`, and watches for as long as the contract asks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from brokenpipe.drive.observers.echo_traffic import EchoTraffic
from brokenpipe.drive.raw_postgres.raw_socket import (
    CONNECT_TIMEOUT_S,
    Address,
    SocketEvent,
    connect,
    event_of_error,
    receive,
    wait_for_end,
)
from brokenpipe.faults import Situation, SocketEffect, SocketExpectation
from brokenpipe.faults.contract import STEADY

Inject = Callable[[], None]

GRACE_S = 0.25  # waited beyond the contract, to tell late from never
_TRAFFIC_S = 0.03  # of traffic before and after an injection: six messages
_ROUND_TRIPS = 7  # the median of seven forgives three hiccups of the machine
_ROUND_TRIPS_IF_LONG = 3
_LONG_DELAY_S = 0.1


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen, and how long after the moment that the contract counts from."""

    seen: SocketEffect
    after_s: float


class _IdleSocket:
    """A connection that sends only on request."""

    def __init__(self, address: Address, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self._socket = connect(address, timeout_s)
        self.last_byte_ns = time.monotonic_ns()

    def close(self) -> None:
        self._socket.close()

    def exchange(self, patience_s: float) -> float | SocketEvent:
        """The time of a round trip in seconds, or what was seen instead of an answer."""
        self.last_byte_ns = time.monotonic_ns()
        try:
            self._socket.sendall(b"?")
        except ConnectionError as error:
            return event_of_error(error)
        answer = receive(self._socket, self.last_byte_ns + _ns(patience_s))
        if isinstance(answer, bytes):
            return (time.monotonic_ns() - self.last_byte_ns) / 1e9
        return answer or SocketEvent("silence", time.monotonic_ns())

    def wait_for_end(self, until_ns: int) -> SocketEvent | None:
        return wait_for_end(self._socket, until_ns)


def idle(address: Address, inject: Inject, expected: SocketExpectation) -> Observation:
    """A connection that was opened before the injection and is idle since."""
    with closing(_IdleSocket(address)) as link:
        link.exchange(1.0)
        injected_ns = time.monotonic_ns()
        inject()
        if expected.seen == "delayed":
            return _observe_delay(link, expected)
        return _observe_end(link, injected_ns, expected)


def fresh(address: Address, inject: Inject, expected: SocketExpectation) -> Observation:
    """A connection that is opened after the injection and is idle after one round trip."""
    injected_ns = time.monotonic_ns()
    inject()
    timeout_s = expected.latest_s + GRACE_S if expected.seen == "unreached" else CONNECT_TIMEOUT_S
    try:
        opened = _IdleSocket(address, timeout_s)
    except ConnectionRefusedError:
        return Observation("refused", _since(injected_ns))
    except TimeoutError:
        return Observation("unreached", _since(injected_ns))
    with closing(opened) as link:
        if expected.seen == "delayed":
            return _observe_delay(link, expected)
        first = link.exchange(expected.latest_s + GRACE_S)
        if isinstance(first, SocketEvent):
            return Observation(first.seen, (first.t_ns - injected_ns) / 1e9)
        return _observe_end(link, injected_ns, expected)


def mid_transfer(address: Address, inject: Inject, expected: SocketExpectation) -> Observation:
    """A connection with messages under way in both directions all the time, at the injection too."""
    with closing(connect(address)) as connection, ThreadPoolExecutor(1, "inject") as executor:
        traffic = EchoTraffic(connection)
        traffic.send_and_receive(time.monotonic_ns() + _ns(_TRAFFIC_S))
        injected_ns = time.monotonic_ns()
        injection = executor.submit(inject)
        while not injection.done():
            traffic.send_and_receive(time.monotonic_ns() + _ns(_TRAFFIC_S / 6))
        injection.result()
        before = traffic.sent
        until_ns = time.monotonic_ns() + _ns(2 * _TRAFFIC_S)
        if expected.seen != "delayed":
            until_ns = max(until_ns, injected_ns + _ns(watch_time_s(expected)))
        traffic.send_and_receive(until_ns)
        traffic.receive_rest(time.monotonic_ns() + _ns(expected.latest_s + GRACE_S))
    if traffic.ended:
        return Observation(traffic.ended.seen, (traffic.ended.t_ns - injected_ns) / 1e9)
    if not traffic.complete:
        return Observation("silence", _since(injected_ns))
    if expected.seen != "delayed":
        return Observation("alive", _since(injected_ns))
    return _delay_observation(statistics.median(traffic.delays_ns[before:]) / 1e9, expected)


OBSERVERS: Mapping[Situation, Callable[[Address, Inject, SocketExpectation], Observation]] = {
    "idle": idle,
    "fresh": fresh,
    "mid_transfer": mid_transfer,
}


def _observe_delay(link: _IdleSocket, expected: SocketExpectation) -> Observation:
    """How long a round trip takes, in the median of some."""
    trips = []
    for _ in range(_ROUND_TRIPS_IF_LONG if expected.latest_s > _LONG_DELAY_S else _ROUND_TRIPS):
        trip = link.exchange(expected.latest_s + GRACE_S)
        if isinstance(trip, SocketEvent):
            return Observation(trip.seen, expected.latest_s + GRACE_S)
        trips.append(trip)
    return _delay_observation(statistics.median(trips), expected)


def _delay_observation(took_s: float, expected: SocketExpectation) -> Observation:
    return Observation("delayed" if took_s >= expected.earliest_s else "alive", took_s)


def _observe_end(link: _IdleSocket, injected_ns: int, expected: SocketExpectation) -> Observation:
    if expected.rest_s is not None:
        return _observe_after_rest(link, expected.rest_s, expected.latest_s + GRACE_S)
    start_ns = link.last_byte_ns if expected.since == "last_byte" else injected_ns
    ended = link.wait_for_end(start_ns + _ns(watch_time_s(expected)))
    if ended is None:
        answer = link.exchange(GRACE_S)
        if not isinstance(answer, SocketEvent):
            return Observation("alive", _since(start_ns))
        ended = answer
    return Observation(ended.seen, (ended.t_ns - start_ns) / 1e9)


def _observe_after_rest(link: _IdleSocket, rest_s: float, patience_s: float) -> Observation:
    """How the first message after a rest is answered. What is seen in the rest comes before it: at a negative time."""
    sent_ns = link.last_byte_ns + _ns(rest_s)
    ended = link.wait_for_end(sent_ns)
    if ended is None:
        answer = link.exchange(patience_s)
        sent_ns = link.last_byte_ns
        if not isinstance(answer, SocketEvent):
            return Observation("alive", answer)
        ended = answer
    return Observation(ended.seen, (ended.t_ns - sent_ns) / 1e9)


def watch_time_s(expected: SocketExpectation) -> float:
    """How long to watch: for an end somewhat longer than the contract says, for a steady state exactly as long."""
    return expected.latest_s + (0.0 if expected.seen in STEADY else GRACE_S)


def _since(start_ns: int) -> float:
    return (time.monotonic_ns() - start_ns) / 1e9


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
