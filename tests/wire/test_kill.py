"""A kill ends what is open, quickly and entirely, and refuses nobody."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from brokenpipe.drive.raw_socket import connect, watch
from brokenpipe.faults import SocketKill
from brokenpipe.faults.contract import LATE_S

COUNT = 50


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("fin", "eof")])
def test_fifty_idle_connections_end_within_20_ms(make_proxy, open_socket, how: str, end: str) -> None:
    """Every one of fifty idle connections sees its end.

    All within 20 ms of the moment before the strike, at the best of three: fifty threads that wake up on a
    busy machine can be later than the packets, never earlier.
    """
    fault = SocketKill(how=how)
    proxy = make_proxy(armed=fault.armed)
    slowest_s = []
    with ThreadPoolExecutor(COUNT) as watchers:
        for _ in range(3):
            connections = [open_socket(proxy) for _ in range(COUNT)]
            until_ns = time.monotonic_ns() + 2_000_000_000
            watches = [watchers.submit(watch, connection, until_ns) for connection in connections]
            before_ns = time.monotonic_ns()
            fault.inject(proxy)
            sightings = [each.result() for each in watches]
            assert [sighting and sighting.seen for sighting in sightings] == [end] * COUNT
            slowest_s.append(max(sighting.t_ns - before_ns for sighting in sightings) / 1e9)
    assert min(slowest_s) < LATE_S, f"the slowest of {COUNT} took {slowest_s} s"


def test_nobody_is_refused_while_connections_are_killed(make_proxy) -> None:
    """A client that connects without pause through ten kills is never refused.

    It may be reset: a connection that the proxy has accepted is open, whether its client knows yet or not.
    """
    proxy = make_proxy(armed=True)
    outcomes, stop = Counter[str](), threading.Event()

    def knock() -> None:
        while not stop.is_set():
            try:
                with closing(connect((proxy.host, proxy.port))):
                    outcomes["opened"] += 1
            except OSError as error:
                outcomes[type(error).__name__] += 1

    knocking = threading.Thread(target=knock)
    knocking.start()
    for _ in range(10):
        proxy.kill()
    stop.set()
    knocking.join()
    assert outcomes.keys() <= {"opened", "ConnectionResetError"}
    assert outcomes["opened"] > 10, "too few connections to say anything"


def test_what_opens_after_a_kill_lives(make_proxy, open_socket) -> None:
    """Connections opened after a strike answer, whatever strikes came before them."""
    proxy = make_proxy(armed=True)
    for _ in range(5):
        proxy.kill()
        younger = open_socket(proxy)
        younger.sendall(b"!")
        assert younger.recv(1) == b"!"
