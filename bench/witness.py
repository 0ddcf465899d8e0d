"""The witness inside a service: processor time of a request with and without it, two processes taking turns.

Both stay up for the whole measurement, so neither starting nor warming up counts. What is compared is the processor
time of the service's own process, which it tells before and after each turn.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles

from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.witness import environment, files_of

ARM = "plain"
REQUESTS = 250  # in a turn
TURNS = 60
WARM_UP = 3  # turns that do not count
READY_S = 20.0


def rows(turns: int = TURNS) -> Iterator[str]:
    """One line: microseconds a request, and the difference with its quartiles."""
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch, ExitStack() as ends:
        folder = Path(scratch)
        server = ends.enter_context(postgres(log_path=folder / "postgres.log", janitor=NoJanitor()))
        dsn = server.dsn().replace("postgresql:", "postgresql+asyncpg:")
        witness = environment(ARM, folder, pythonpath=os.environ.get("PYTHONPATH", ""))
        bare, seen = (ends.enter_context(_service(dsn, extra)) for extra in ({}, witness))
        pairs = []
        for turn in range(turns + WARM_UP):
            order = (seen, bare) if turn % 2 else (bare, seen)
            took = {service: service.turn() for service in order}
            pairs.append((took[bare], took[seen]))
        if not any('"tally"' in path.read_text(encoding="utf-8") for path in files_of(folder, ARM)):
            raise RuntimeError("the witness has not seen the requests")
    without, within = zip(*pairs[WARM_UP:], strict=True)
    low, middle, high = quantiles((b - a for a, b in zip(without, within, strict=True)), n=4)
    yield (
        f"without {quantiles(without)[1]:.0f} µs, with it {quantiles(within)[1]:.0f} µs of processor a request: "
        f"{middle:+.0f} µs (quartiles {low:+.0f} and {high:+.0f}), {turns} turns of {REQUESTS} requests"
    )


class _Service:
    """One process, asked over one connection."""

    def __init__(self, port: int) -> None:
        self._client = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
        self._asked = 0

    def turn(self) -> float:
        """Microseconds of processor time for a request, as the load would send it."""
        began = float(self._get("/used"))
        for _ in range(REQUESTS):
            self._asked += 1
            self._get("/one", {"X-Request-ID": f"AgentUser-1-{self._asked}"})
        return (float(self._get("/used")) - began) / REQUESTS * 1e6

    def _get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        self._client.request("GET", path, headers=headers or {})
        answer = self._client.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}")
        return body

    def up(self) -> bool:
        try:
            return bool(self._get("/used"))
        except OSError:
            self._client.close()
            return False


@contextmanager
def _service(dsn: str, extra: dict[str, str]) -> Iterator[_Service]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--http",
        "h11",
        "--log-level",
        "error",
        "--timeout-keep-alive",
        "600",
    ]
    command += [
        "--host",
        LOOPBACK,
        "--port",
        str(port),
        "--app-dir",
        str(Path(__file__).parent),
        "service:app",
    ]
    process = subprocess.Popen(command, env={**os.environ, "DSN": dsn, **extra})
    try:
        service = _Service(port)
        limit = time.monotonic() + READY_S
        while not service.up():
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("the service to be measured does not answer")
            time.sleep(0.05)
        yield service
    finally:
        process.terminate()
        process.wait(timeout=10)
