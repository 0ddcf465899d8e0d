"""Our part in Locust against Locust alone: processor time of one request, both taking turns many times.

Both send the same requests to the same server, one user, in processes of their own. What is compared is the processor
time of the process between two marks, so that starting up does not count.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from brokenpipe.load.config import LOCUSTFILE, VARIABLE, LoadConfig
from brokenpipe.load.messages import GateCommand, encode

REQUESTS = 4000
TURNS = 12
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

# Prints its own processor time after a tenth and after all of its requests.
_FILE = """
import os, time
from locust import FastHttpUser, task
class Quick(FastHttpUser):
    host = {host!r}
    n = 0
    @task
    def ask(self):
        self.client.get("/ok")
        self.n += 1
        if self.n == {warm}:
            self.began = time.process_time()
        elif self.n == {warm} + {requests}:
            open({out!r}, "w").write(str(time.process_time() - self.began))
            os._exit(0)
"""


def rows(turns: int = TURNS) -> Iterator[str]:
    """One line: microseconds a request, and the ratio."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as scratch:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        pairs = []
        for turn in range(turns):
            order = (True, False) if turn % 2 else (False, True)
            took = {ours: _once(Path(scratch), host, ours=ours) for ours in order}
            pairs.append((took[False], took[True]))
    bare, ours = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(mine / theirs for theirs, mine in pairs)
    yield f"bare Locust {bare:.0f} µs a request, with our part {ours:.0f} µs: {ratio:.2f} times, {turns} turns"


def _once(folder: Path, host: str, *, ours: bool) -> float:
    """Microseconds of processor time for a request."""
    file, out = folder / "locustfile.py", folder / "took"
    out.unlink(missing_ok=True)
    file.write_text(_FILE.format(host=host, warm=REQUESTS // 10, requests=REQUESTS, out=str(out)))
    harness, load = socket.socketpair()
    config = LoadConfig(
        locustfile=file, arms={"plain": host}, users=1, seed=1, requests_path=folder / "requests.ndjson",
        time_limit_s=30.0, control_fd=load.fileno(),
    )  # fmt: skip
    used = str(LOCUSTFILE) if ours else str(file)
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        used,
        "--headless",
        "-u",
        "1",
        "-r",
        "1",
        "--loglevel",
        "ERROR",
    ]
    environment = {**os.environ, VARIABLE: config.to_json()}
    with harness, load:
        harness.sendall(encode(GateCommand(open=True)))
        subprocess.run(
            command, env=environment, pass_fds=[load.fileno()], check=True, timeout=120, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return float(out.read_text()) / REQUESTS * 1e6


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client:
        while client.recv(65536):
            client.sendall(ANSWER)
