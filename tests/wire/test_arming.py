"""Whether a connection ends by RST or by FIN is decided when it opens. The design of `how` stands on this."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress

import pytest

from brokenpipe.drive.raw_postgres.raw_socket import connect, wait_for_end


def _end_seen(connection):
    sighting = wait_for_end(connection, time.monotonic_ns() + 1_000_000_000)
    return sighting and sighting.seen


@pytest.mark.parametrize(("armed", "end"), [(True, "reset"), (False, "eof")])
def test_arming_decides_how_a_connection_ends(make_proxy, open_socket, armed: bool, end: str) -> None:
    """Opened armed, a killed connection ends by RST; opened unarmed, by FIN. Data passes in both."""
    proxy = make_proxy(rst_on_close=armed)
    connection = open_socket(proxy)
    proxy.kill()
    assert _end_seen(connection) == end


@pytest.mark.parametrize(("armed", "end"), [(True, "reset"), (False, "eof")])
def test_a_connection_keeps_what_it_was_opened_with(make_proxy, open_socket, armed: bool, end: str) -> None:
    """Arming or disarming a proxy changes nothing for connections that are open already."""
    proxy = make_proxy(rst_on_close=armed)
    connection = open_socket(proxy)
    proxy.set_rst_on_close(not armed)
    proxy.kill()
    assert _end_seen(connection) == end


@pytest.mark.parametrize(("armed", "end"), [(True, "reset"), (False, "eof")])
def test_arming_counts_for_connections_opened_after_it(make_proxy, open_socket, armed, end) -> None:
    """A proxy can be armed and disarmed again in its life, and says which it is."""
    proxy = make_proxy(rst_on_close=not armed)
    open_socket(proxy)
    proxy.set_rst_on_close(armed)
    proxy.set_rst_on_close(armed)
    assert proxy.rst_on_close is armed
    connection = open_socket(proxy)
    proxy.kill()
    assert _end_seen(connection) == end


def test_arming_holds_for_an_end_of_any_cause(make_proxy, open_socket) -> None:
    """An armed connection ends by RST too when the proxy is disabled, although nothing killed it."""
    proxy = make_proxy(rst_on_close=True)
    connection = open_socket(proxy)
    proxy.refuse()
    assert _end_seen(connection) == "reset"
    with pytest.raises(ConnectionRefusedError):
        open_socket(proxy)
    proxy.accept()
    open_socket(proxy)


def test_arming_does_not_hang_behind_a_client_that_has_stopped_reading(server) -> None:
    """A proxy full of an answer that nobody reads can be killed and disarmed, at once."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:

        def flood() -> None:
            accepted, _ = upstream.accept()
            accepted.settimeout(0.3)
            with accepted, suppress(TimeoutError):
                while True:
                    accepted.sendall(bytes(1_000_000))
                    sent.append(1)
            full.set()

        sent, full = list[int](), threading.Event()
        flooding = threading.Thread(target=flood)
        flooding.start()
        with (
            server.scratch_proxy(upstream.getsockname(), rst_on_close=True) as proxy,
            closing(connect((proxy.host, proxy.port))),
        ):
            assert full.wait(10), f"{len(sent)} MB went to a client that reads nothing"
            started = time.monotonic()
            proxy.kill()
            proxy.set_rst_on_close(False)
            assert time.monotonic() - started < 1
        flooding.join()
