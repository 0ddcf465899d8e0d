"""Each task of a locustfile is run once, in a process of its own, and what its requests came to is written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/missing": 404, "/broken": 500}.get(self.path, 200))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


LOCUSTFILE = """
from locust import FastHttpUser, HttpUser, TaskSet, task

class Reader(FastHttpUser):
    @task(5)
    def often(self):
        self.client.get("/often", name="GET /often")

    @task
    def missing(self):
        with self.client.get("/missing", name="GET /missing", catch_response=True) as response:
            response.success()

    @task
    class Inner(TaskSet):
        @task
        def inside(self):
            self.client.get("/inside")

class Other(HttpUser):
    host = "http://192.0.2.1"

    @task
    def broken(self):
        self.client.get("/broken")

    @task
    def raises(self):
        raise KeyError("who")
"""


def _run(locustfile: Path, url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "brokenpipe.load.each_task", str(locustfile), url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_each_task_is_run_once_whatever_its_weight(tmp_path: Path, url: str) -> None:
    """Tasks of several users and of task sets, at the address that is given; what one raises stands with its line."""
    file = tmp_path / "locustfile.py"
    file.write_text(LOCUSTFILE)
    found = _run(file, url)
    assert {(each["name"], each["status"], bool(each["error"])) for each in found["requests"]} == {
        ("GET /often", 200, False),
        ("GET /missing", 404, False),
        ("/inside", 200, False),
        ("/broken", 500, True),
    }
    assert len(found["requests"]) == 4
    assert found["raised"] == [f"{file}, line 29: KeyError: 'who'"]


def test_a_locustfile_that_does_not_load(tmp_path: Path, url: str) -> None:
    """It is said with its line, and no traceback."""
    file = tmp_path / "locustfile.py"
    file.write_text("import locust\nlocust.nothing\n")
    assert _run(file, url)["requests"] == []
    assert "line 2" in _run(file, url)["raised"][0]
