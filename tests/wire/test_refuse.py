"""Refusing: nobody listens, and the port stays ours, so that it is refused by nobody else's accident either."""

from __future__ import annotations

import errno
import socket
import sys

import pytest

from brokenpipe.stack.processes.ports import LOOPBACK, is_taken
from brokenpipe.stack.proxy.proxy import Proxy

TIMES = 100
CONNECT_S = 5.0

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be held and shared")


def _connects(proxy: Proxy) -> bool:
    try:
        with socket.create_connection((proxy.host, proxy.port), timeout=CONNECT_S):
            return True
    except ConnectionRefusedError:
        return False


def _bind(port: int, *options: int, host: str = LOOPBACK) -> int:
    """What a stranger is answered who wants to listen there: 0 or an error number."""
    with socket.socket() as stranger:
        for option in options:
            stranger.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            stranger.bind((host, port))
            stranger.listen()
        except OSError as error:
            return error.errno or -1
    return 0


@only_linux
def test_a_port_that_refuses_can_be_had_by_nobody(make_proxy) -> None:
    """Whatever a stranger's socket allows, on whichever address: in use, also when connections of before linger."""
    proxy = make_proxy()
    assert _connects(proxy)
    proxy.refuse()
    for options in (
        (),
        (socket.SO_REUSEADDR,),
        (socket.SO_REUSEPORT,),
        (socket.SO_REUSEADDR, socket.SO_REUSEPORT),
    ):
        for host in (LOOPBACK, "0.0.0.0"):
            assert _bind(proxy.port, *options, host=host) == errno.EADDRINUSE, (options, host)
    assert is_taken(proxy.port)
    assert not _connects(proxy)
    proxy.accept()
    assert _connects(proxy)


def test_it_refuses_and_heals_again_and_again(make_proxy) -> None:
    """A hundred times: refused as soon as it refuses, and not once when it has healed."""
    proxy = make_proxy()
    port = proxy.port
    for turn in range(TIMES):
        proxy.refuse()
        assert not _connects(proxy), turn
        proxy.accept()
        assert _connects(proxy), turn
    assert proxy.port == port


@only_linux
def test_a_server_that_is_gone_leaves_its_ports_to_nobody_else(start_server, echo) -> None:
    """Between the end of a server and its restart its proxies refuse; nobody else comes in."""
    server = start_server()
    proxy = server.create_proxy("kept", echo)
    server.stop()
    assert not _connects(proxy)
    assert _bind(proxy.port, socket.SO_REUSEADDR) == errno.EADDRINUSE
    server.restart()
    assert _connects(proxy)


def test_a_port_is_given_up_with_its_proxy(server, echo) -> None:
    """A proxy that was deleted holds nothing."""
    with server.scratch_proxy(echo) as proxy:
        port = proxy.port
    assert _bind(port, socket.SO_REUSEADDR) == 0
