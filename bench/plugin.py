"""Our part in Locust against Locust alone: processor time of one request, both taking turns many times.

Both send the same requests with FastHttpUser to the same server, one user, in processes of their own. While one makes
its block of requests, the other waits: so both meet the same machine, however busy it is, and the ratio is that of two
blocks beside each other. New pairs of processes level out where their memory happens to lie. Starting up and the first
blocks of each process do not count.

With BROKENPIPE_BENCH_AGAINST=FOLDER, another checkout, its part takes turns with the two.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from brokenpipe.load.config import LOCUSTFILE, VARIABLE, LoadConfig
from brokenpipe.load.messages import GateCommand, encode

PAIRS = 8
TURNS = 16  # of each pair, after those that warm up
WARM_UP = 3
REQUESTS = 400  # of a turn
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
HERE = Path(__file__).parents[1]

# Waits for a byte before each block of its requests, and answers with the processor time that the block took.
_FILE = """
import os, time
from locust import FastHttpUser, task
class Quick(FastHttpUser):
    host = {host!r}
    n = 0
    @task
    def ask(self):
        if self.n % {requests} == 0:
            if self.n:
                os.write({fd}, b"%d\\n" % (time.process_time_ns() - self.began))
            os.read({fd}, 1) or os._exit(0)
            self.began = time.process_time_ns()
        self.n += 1
        self.client.get("/ok")
"""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A Locust process: with our part of that checkout, or Locust alone."""

    checkout: Path | None
    turns: socket.socket

    def play(self) -> float:
        """Microseconds of processor time for a request."""
        self.turns.sendall(b".")
        answer = self.turns.recv(64)
        if not answer:
            raise RuntimeError("a Locust process has ended")
        return int(answer) / 1000 / REQUESTS


def rows(pairs: int = PAIRS) -> Iterator[str]:
    """One line for our part, and one for that of the other checkout: microseconds a request, and the ratio."""
    other = os.environ.get("BROKENPIPE_BENCH_AGAINST")
    checkouts = [None, HERE, *([Path(other)] if other else [])]
    took: dict[Path | None, list[float]] = {checkout: [] for checkout in checkouts}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        for _ in range(pairs):
            _alternate(f"http://127.0.0.1:{listener.getsockname()[1]}", took)
    yield _row("with our part", took[HERE], took[None])
    if other:
        yield _row("with that of the other checkout", took[Path(other)], took[None])
        yield f"our part against that one: {_ratio(took[HERE], took[Path(other)])}"


def _row(what: str, ours: Sequence[float], bare: Sequence[float]) -> str:
    said = f"bare Locust {median(bare):.0f} µs a request, {what} {median(ours):.0f} µs"
    return f"{said}: {_ratio(ours, bare)}, {len(ours)} turns"


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.3f} times, half of the turns between {low:.3f} and {high:.3f}"


def _alternate(host: str, took: Mapping[Path | None, list[float]]) -> None:
    """Play the turns of new processes, each of them first in its share of the turns."""
    with ExitStack() as processes:
        contestants = [processes.enter_context(_contestant(host, checkout)) for checkout in took]
        for turn in range(WARM_UP + TURNS):
            first = turn % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                us = contestant.play()
                if turn >= WARM_UP:
                    took[contestant.checkout].append(us)


@contextmanager
def _contestant(host: str, checkout: Path | None) -> Iterator[Contestant]:
    ours, its = socket.socketpair()
    harness, load = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch, ours, harness:
        file = Path(scratch) / "locustfile.py"
        file.write_text(_FILE.format(host=host, requests=REQUESTS, fd=its.fileno()))
        config = LoadConfig(
            locustfile=file, arms={"plain": host}, users=1, seed=1, requests_path=file.with_name("requests.ndjson"),
            time_limit_s=30.0, control_fd=load.fileno(),
        )  # fmt: skip
        used = checkout / LOCUSTFILE.relative_to(HERE) if checkout else file
        path = str(checkout / "src") if checkout else ""
        with its, load:
            command = f"-m locust -f {used} --headless -u 1 -r 1 --loglevel ERROR"
            process = subprocess.Popen(
                [sys.executable, *command.split()],
                env={**os.environ, VARIABLE: config.to_json(), "PYTHONPATH": path},
                pass_fds=[load.fileno(), its.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        harness.sendall(encode(GateCommand(open=True)))
        try:
            yield Contestant(checkout, ours)
        finally:
            ours.close()  # which ends it, as soon as it is its turn
            try:
                process.wait(10)
            finally:
                process.kill()


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
