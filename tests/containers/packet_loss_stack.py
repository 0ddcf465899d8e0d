"""A Toxiproxy in a container, and a service in another: between them packets are lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from tests.containers.containers import CONFINED, IMAGES, docker

from brokenpipe.stack.containers.compose_file import API_PORT, NetworkAddresses
from brokenpipe.stack.containers.container_process import container_process
from brokenpipe.stack.containers.engine import Engine
from brokenpipe.stack.packet_loss.containers import ContainerPacketFilter
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import ContainerPort
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.proxy.api import ToxiproxyApi
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer

# A service: asks something every 50 ms, and prints whatever it hears.
SERVICE = """
import socket, sys, threading, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def ask():
    while True:
        connection.sendall(b"?")
        time.sleep(0.05)
threading.Thread(target=ask, daemon=True).start()
while True:
    print("heard", connection.recv(1).decode(), flush=True)
"""


@dataclass(frozen=True)
class Ground:
    """A network of the test's own, with a Toxiproxy in a container; agents come as they are asked for."""

    engine: Engine
    folder: Path
    name: str
    addresses: NetworkAddresses
    made: list[str] = field(default_factory=list)

    @property
    def here(self) -> str:
        return self.addresses.gateway

    def container(self, name: str, address: str, image: str, *command: str) -> AbstractContextManager[Child]:
        """Created, and running for as long as the block lasts; another time, too."""
        if name not in self.made:
            options = (
                "--label=brokenpipe.test",
                f"--name={name}",
                f"--network={self.name}",
                f"--ip={address}",
            )
            docker("create", *CONFINED, *options, image, *command)
            self.made.append(name)
        log_path = self.folder / f"{name}.log"
        return container_process(
            name, name, self.engine, log_path=log_path, janitor=NoJanitor(), stop_signal=signal.SIGKILL
        )

    @contextmanager
    def toxiproxy(self, packets: ContainerPacketFilter) -> Iterator[ToxiproxyServer]:
        arguments = ("-host", self.addresses.toxiproxy, "-port", str(API_PORT))
        place = (f"{self.name}-toxiproxy", self.addresses.toxiproxy)
        ports = map(ContainerPort, count(20_000))
        server = ToxiproxyServer(
            ToxiproxyApi(API_PORT, self.addresses.toxiproxy),
            lambda: packets.with_rules(self.container(*place, IMAGES[1], *arguments)),
            new_port=partial(next, ports),
            packets=packets,
        )
        try:
            server.start()
            yield server
        finally:
            server.close()

    def service(self, proxy: Proxy) -> AbstractContextManager[Child]:
        """One that talks through this proxy."""
        arguments = ("python", "-c", SERVICE, proxy.host, str(proxy.port))
        return self.container(f"{self.name}-agent", self.addresses.arm(0), IMAGES[2], *arguments)
