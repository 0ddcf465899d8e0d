"""`python -m tests.wire.in_namespace FOLDER`: what plain sockets see of lost packets in their own namespace, as JSON.

A test suite is in no such namespace, so it starts this. Whatever is seen is printed; what it should be is the tests'.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg2
from tests.wire.inert import InertProxy

from brokenpipe.drive.detection.detect import detect_held
from brokenpipe.drive.raw_postgres.raw_socket import Address, connect
from brokenpipe.drive.self_test.echo_server import echo_server
from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.faults import BlackHole, Fault, PacketDrop
from brokenpipe.measure.failures.error_classes import ChainedException, classify
from brokenpipe.stack.packet_loss import namespace, nftables
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

PROXIES = Path(__file__).parents[2] / "proxies"
USER_TIMEOUT_MS = 700
KEEPALIVE = {socket.TCP_KEEPIDLE: 1, socket.TCP_KEEPINTVL: 1, socket.TCP_KEEPCNT: 2}
WATCH_S = 5.0  # longer than any of these limits
HELD_S = 0.8
LETTER = bytes(range(256)) * 800  # 200 kB: more than one packet, less than a socket's buffers

Driver = Callable[[str], object]
Options = Mapping[tuple[int, int], int]
USER_TIMEOUT: Options = {(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): USER_TIMEOUT_MS}
KEEPALIVES: Options = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    **{(socket.IPPROTO_TCP, option): value for option, value in KEEPALIVE.items()},
}


def given_up(
    server: ToxiproxyServer, echo: Address, fault: Fault, options: Options, *, sends: bool
) -> dict[str, Any]:
    """How a connection with these options ends under the fault: an errno and how long that took, or None."""
    with server.scratch_proxy(echo) as proxy, connect((proxy.host, proxy.port)) as connection:
        for (level, option), value in options.items():
            connection.setsockopt(level, option, value)
        _answered(connection)
        fault.inject(proxy)
        began = time.monotonic()
        try:
            if sends:
                connection.sendall(b"?")
            connection.settimeout(WATCH_S)
            connection.recv(1)
        except OSError as error:  # a time limit of Python's own has no number
            return {"errno": error.errno, "after_s": time.monotonic() - began}
        finally:
            fault.heal(proxy)
    return {"errno": 0, "after_s": time.monotonic() - began}


def healed(server: ToxiproxyServer, echo: Address) -> dict[str, Any]:
    """What becomes of a letter that is sent while its packets are lost."""
    with (
        server.scratch_proxy(echo) as proxy,
        server.scratch_proxy(echo) as other,
        connect((proxy.host, proxy.port)) as connection,
        connect((other.host, other.port)) as neighbour,
    ):
        PacketDrop().inject(proxy)
        connection.sendall(LETTER)
        time.sleep(HELD_S)
        next_door = _answered(neighbour)
        PacketDrop().heal(proxy)
        connection.settimeout(WATCH_S)
        back = b""
        while len(back) < len(LETTER) and (some := connection.recv(65_536)):
            back += some
        return {"whole": back == LETTER, "next_door": next_door}


def unheard(server: ToxiproxyServer) -> dict[str, Any]:
    """What a client hears of a server that goes on talking while packets are lost, and after that."""
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        server.scratch_proxy(listener.getsockname()) as proxy,
        connect((proxy.host, proxy.port)) as client,
        listener.accept()[0] as talker,
    ):
        PacketDrop().inject(proxy)
        talker.sendall(b"!")
        client.settimeout(HELD_S)
        try:
            meanwhile = client.recv(1).decode()
        except TimeoutError:
            meanwhile = ""
        PacketDrop().heal(proxy)
        client.settimeout(WATCH_S)
        return {"meanwhile": meanwhile, "later": client.recv(1).decode()}


def held(server: ToxiproxyServer, echo: Address) -> dict[str, Any]:
    """What the socket says that watches in the middle of an experiment; then without the fault, then with the other."""
    with server.scratch_proxy(echo) as proxy:
        PacketDrop().inject(proxy)
        there = detect_held(proxy, PacketDrop(), None)
        PacketDrop().heal(proxy)
        gone = detect_held(proxy, PacketDrop(), None)
        BlackHole().inject(proxy)
        other = detect_held(proxy, PacketDrop(), None)
        BlackHole().heal(proxy)
    return {"there": there.landed, "gone": gone.landed, "other": other.landed}


def restarted(server: ToxiproxyServer, echo: Address) -> dict[str, Any]:
    """Whether a proxy answers whose server was started anew while its packets were lost."""
    with server.scratch_proxy(echo) as proxy:
        PacketDrop().inject(proxy)
        server.restart()
        with connect((proxy.host, proxy.port)) as connection:
            return {"answers": _answered(connection)}


def refused_late(driver: Driver) -> str:
    """What a driver says of a port on which nobody listens, when the first packet to it is lost: its class."""
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))
        port = nobody.getsockname()[1]
        nftables.set_packet_loss(port, True)
        heal = threading.Timer(HELD_S / 2, nftables.set_packet_loss, (port, False))
        heal.start()
        try:
            driver(f"postgresql://nobody:none@{LOOPBACK}:{port}/none")
        except Exception as error:  # noqa: BLE001
            kind = f"{type(error).__module__}.{type(error).__name__}"
            return str(
                classify([ChainedException(kind, str(error), errno=getattr(error, "errno", None))], "connect")
            )
        finally:
            heal.join()
    return "connected"


def probed(server: ToxiproxyServer, folder: Path, *, really: bool) -> list[dict[str, Any]]:
    """The certificate of the fault, injected really or on nothing."""
    scratch = partial(postgres, log_path=folder / "postgres.log", janitor=NoJanitor())
    wire_of = (lambda proxy: proxy) if really else (lambda _: InertProxy())
    probes = self_test_faults([PacketDrop()], server, scratch, wire_of=wire_of)
    return [{"situation": probe.situation, "seen": probe.seen, "held": probe.held} for probe in probes]


def _answered(connection: socket.socket) -> bool:
    connection.settimeout(WATCH_S)
    connection.sendall(b"!")
    return connection.recv(1) == b"!"


def main(folder: Path) -> None:
    """All at the same time, except for what takes the server away."""
    with (
        toxiproxy_server(
            toxiproxy_binary(PROXIES), log_path=folder / "toxiproxy.log", janitor=NoJanitor()
        ) as server,
        echo_server() as echo,
        ThreadPoolExecutor(10) as watchers,
    ):
        lost, swallowed = PacketDrop(), BlackHole()
        looks: dict[str, Callable[[], Any]] = {
            "user timeout, lost": partial(given_up, server, echo, lost, USER_TIMEOUT, sends=True),
            "user timeout, lost, nothing sent": partial(
                given_up, server, echo, lost, USER_TIMEOUT, sends=False
            ),
            "user timeout, swallowed": partial(given_up, server, echo, swallowed, USER_TIMEOUT, sends=True),
            "keepalives, lost": partial(given_up, server, echo, lost, KEEPALIVES, sends=False),
            "keepalives, lost, something sent": partial(given_up, server, echo, lost, KEEPALIVES, sends=True),
            "keepalives, swallowed": partial(given_up, server, echo, swallowed, KEEPALIVES, sends=False),
            "healed": partial(healed, server, echo),
            "held": partial(held, server, echo),
            "unheard": partial(unheard, server),
            "refused late, psycopg": partial(refused_late, psycopg.connect),
            "refused late, psycopg2": partial(refused_late, psycopg2.connect),
            "refused late, asyncpg": partial(refused_late, lambda dsn: asyncio.run(asyncpg.connect(dsn))),
        }
        found: dict[str, Any] = {
            "probed": probed(server, folder, really=True),
            "on nothing": probed(server, folder, really=False),
        }
        futures = {name: watchers.submit(look) for name, look in looks.items()}
        found |= {name: future.result() for name, future in futures.items()}
        found["restarted"] = restarted(server, echo)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    if not namespace.is_inside():
        namespace.enter([sys.executable, "-m", "tests.wire.in_namespace", *sys.argv[1:]])
    namespace.set_up()
    main(Path(sys.argv[1]))
