"""A readiness path that redirects: within the service it is followed, and elsewhere nothing is requested."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.unit.plans import TARGET

from brokenpipe.errors import RedirectError
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.target import Service, wait_ready


class Redirecting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        to = {"/near": "/ok", "/far": "http://192.0.2.1/ok", "/port": "http://127.0.0.1:9/ok"}.get(self.path)
        self.send_response(302 if to else 200)
        if to:
            self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Something that runs, and an address that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as popen:
        child = Child("target of arm plain", tmp_path / "log", popen)
        yield Service("plain", f"http://127.0.0.1:{server.server_port}", child, time.monotonic())
        popen.kill()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["/far", "/port"])
def test_elsewhere(service: Service, path: str) -> None:
    """The message names the service's path and where it leads."""
    with pytest.raises(
        RedirectError, match=rf"redirects {path} to http://.*/ok, which is not its own address"
    ):
        wait_ready(service, TARGET.model_copy(update={"ready": path}))


def test_within_the_service(service: Service) -> None:
    """As many frameworks do, for a missing slash for example."""
    wait_ready(service, TARGET.model_copy(update={"ready": "/near"}))
