"""Requests a second: one Locust process against a master with two workers, at a server that does nothing, in turns.

All of them share the machine's cores with the server: two workers cannot be twice as fast on two cores.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from brokenpipe.drive.locust.process import LocustProcess, locust_process
from brokenpipe.load.config import LoadConfig
from brokenpipe.stack.processes.janitor import NoJanitor

TURNS = 3
SECONDS = 5.0
USERS = 16
WORKERS = 2
_FILE = """
from locust import FastHttpUser, task
class Quick(FastHttpUser):
    @task
    def ask(self):
        self.client.get("/ok")
"""
_SERVER = (
    "from bench.plugin import _serve; import socket, sys; _serve(socket.socket(fileno=int(sys.argv[1])))"
)


def rows(turns: int = TURNS) -> Iterator[str]:
    """One line: requests a second, and the ratio."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as listener,
        tempfile.TemporaryDirectory() as scratch,
    ):
        fd = listener.fileno()
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(fd)], pass_fds=[fd], cwd=Path(__file__).parents[1]
        )
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            pairs = [
                tuple(_rate(Path(scratch), url, workers, turn) for workers in (0, WORKERS))
                for turn in range(turns)
            ]
        finally:
            server.kill()
            server.wait()
    one, two = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(b / a for a, b in pairs)
    yield f"one process {one:,.0f}, {WORKERS} workers {two:,.0f} requests a second: {ratio:.2f} times, {turns} turns"


def _rate(scratch: Path, url: str, workers: int, turn: int) -> float:
    folder = scratch / f"{turn}-{workers}"
    folder.mkdir()
    file = folder / "locustfile.py"
    file.write_text(_FILE)
    config = LoadConfig(
        locustfile=file, arms={"plain": url}, users=USERS, seed=1, requests_path=folder / "requests.ndjson",
        time_limit_s=30.0, workers=workers,
    )  # fmt: skip
    with locust_process(config, folder / "load.log", NoJanitor()) as load:
        load.wait_ready(60)
        load.open()
        time.sleep(1.0)
        began, before = time.monotonic(), _ended(load)
        time.sleep(SECONDS)
        rate = (_ended(load) - before) / (time.monotonic() - began)
        load.drain(10)
        load.stop()
    return rate


def _ended(load: LocustProcess) -> int:
    return sum(count.ended for count in load.progress.values())
