"""A server that sends back what it receives: the upstream of a self-test."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from brokenpipe.drive.raw_postgres.raw_socket import Address
from brokenpipe.stack.processes.ports import LOOPBACK


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):  # broken connections are what is tested
            while received := self.request.recv(65_536):
                self.request.sendall(received)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def echo_server(host: str = LOOPBACK) -> Iterator[Address]:
    """Serve on a free port of an address of this machine for as long as the block lasts."""
    with _Server((host, 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="echo", daemon=True)
        thread.start()
        try:
            yield (host, server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
