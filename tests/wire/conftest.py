"""One Toxiproxy server for the whole folder, built from proxies/; an echo server; scratch proxies between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from brokenpipe.drive.raw_postgres.raw_socket import Address, connect
from brokenpipe.drive.self_test.echo_server import echo_server
from brokenpipe.drive.self_test.wire import ScratchPostgres
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

PROXIES = Path(__file__).parents[2] / "proxies"

StartServer = Callable[..., ToxiproxyServer]
MakeProxy = Callable[..., Proxy]
OpenSocket = Callable[[Proxy], socket]


@pytest.fixture(scope="session")
def binary() -> Path:
    return toxiproxy_binary(PROXIES)


@pytest.fixture(scope="session")
def server(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToxiproxyServer]:
    """Shared: a test that stops or stuffs a server takes `start_server`."""
    log_path = tmp_path_factory.mktemp("toxiproxy") / "toxiproxy.log"
    with toxiproxy_server(binary, log_path=log_path, janitor=NoJanitor()) as running:
        yield running


@pytest.fixture
def start_server(binary: Path, tmp_path: Path) -> Iterator[StartServer]:
    """A server of the test's own, to be broken at will."""
    with ExitStack() as servers:

        def start(**options: Any) -> ToxiproxyServer:
            return servers.enter_context(
                toxiproxy_server(binary, log_path=tmp_path / "own.log", janitor=NoJanitor(), **options)
            )

        yield start


@pytest.fixture(scope="session")
def echo() -> Iterator[Address]:
    with echo_server() as address:
        yield address


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres for each file that wants one: it may be stopped, killed and changed there."""
    log_path = tmp_path_factory.mktemp("postgres") / "postgres.log"
    with postgres(log_path=log_path, janitor=NoJanitor()) as server:
        yield server


@pytest.fixture
def scratch(tmp_path: Path) -> ScratchPostgres:
    """How a certificate starts a Postgres of its own."""
    return partial(postgres, log_path=tmp_path / "postgres.log", janitor=NoJanitor())


@pytest.fixture
def make_proxy(server: ToxiproxyServer, echo: Address) -> Iterator[MakeProxy]:
    """A proxy in front of the echo server, gone after the test."""
    with ExitStack() as proxies:

        def make(*, rst_on_close: bool = False) -> Proxy:
            return proxies.enter_context(server.scratch_proxy(echo, rst_on_close=rst_on_close))

        yield make


@pytest.fixture
def open_socket() -> Iterator[OpenSocket]:
    """A connection through a proxy that has carried a byte there and back, closed after the test."""
    with ExitStack() as sockets:

        def open_one(proxy: Proxy) -> socket:
            connection = sockets.enter_context(closing(connect((proxy.host, proxy.port))))
            connection.sendall(b"?")
            assert connection.recv(1) == b"?"
            return connection

        yield open_one
