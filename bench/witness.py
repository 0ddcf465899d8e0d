"""The witness inside a service: processor time of a request with and without it, processes taking short turns.

What is compared is the processor time of the service's own process over the same number of requests. The noise of a
busy machine is met in three ways: turns are so short that their neighbours meet the same machine; medians, not means;
and several sets of processes, because how a process lies in memory is worth some per cent for as long as it lives.

BROKENPIPE_BENCH_POOL=asyncpg or psycopg_pool measures a service with that pool; without it, SQLAlchemy's.
With BROKENPIPE_BENCH_AGAINST=FOLDER, another checkout, its witness takes turns with the others.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import sqrt
from pathlib import Path
from statistics import median, quantiles

from bench.processor_clock import processor_ns
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.witness import SITE, environment, files_of

REQUESTS = 50  # in a turn: a tenth of a second
TURNS = 100  # of each process of a set
WARM_UP = 10  # turns that do not count: caches of statements, and Python's own specialised code
SETS = 4  # of processes
READY_S = 20.0
OTHER_SITE = "src/brokenpipe/witness/site"  # in another checkout

Took = dict[str, list[float]]  # microseconds a request, turn by turn, of each process


def rows(turns: int = TURNS, sets: int = SETS) -> Iterator[str]:
    """One line for each witness: microseconds a request, the difference, and how sure it is."""
    other = os.environ.get("BROKENPIPE_BENCH_AGAINST")
    sites = {"with it": SITE} | ({"with the other": Path(other) / OTHER_SITE} if other else {})
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch:
        folder = Path(scratch)
        with postgres(log_path=folder / "postgres.log", janitor=NoJanitor()) as server:
            taken = [_play_set(server.dsn(), folder, sites, turns) for _ in range(sets)]
    for name in sites:
        yield _row(name, taken)


def _row(name: str, taken: Sequence[Took]) -> str:
    of_sets = [[b - a for a, b in zip(took["bare"], took[name], strict=True)] for took in taken]
    differences = sorted(difference for of_set in of_sets for difference in of_set)
    low, middle, high = quantiles(differences, n=4)
    surest, furthest = _interval_of_median(differences)
    without, within = (median(us for took in taken for us in took[each]) for each in ("bare", name))
    medians = ", ".join(f"{median(of_set):.0f}" for of_set in of_sets)
    return (
        f"without {without:.0f} µs, {name} {within:.0f} µs of processor a request: {middle:+.0f} µs "
        f"(95 % interval {surest:.0f} to {furthest:.0f}, half of the turns between {low:.0f} and {high:.0f}; "
        f"sets of processes {medians}), {len(differences)} turns of {REQUESTS} requests"
    )


def _interval_of_median(ordered: Sequence[float]) -> tuple[float, float]:
    """Where the true median lies in 95 of 100 cases, by the ranks around it; no distribution is assumed."""
    count = len(ordered)
    beside = 0.98 * sqrt(count)
    return ordered[max(0, int(count / 2 - beside))], ordered[min(count - 1, int(count / 2 + beside))]


def _play_set(dsn: str, folder: Path, sites: Mapping[str, Path], turns: int) -> Took:
    """New processes that take turns, in an order that goes round."""
    with ExitStack() as ends:
        services = {"bare": ends.enter_context(_service(dsn, {}))}
        for arm, (name, site) in enumerate(sites.items()):
            services[name] = ends.enter_context(_service(dsn, _witness(str(arm), folder, site)))
        took: Took = {name: [] for name in services}
        for turn in range(turns + WARM_UP):
            names = list(services)
            names = names[turn % len(names) :] + names[: turn % len(names)]
            for name in names[:: -1 if turn // len(names) % 2 else 1]:
                took[name].append(services[name].play_turn())
    for arm in range(len(sites)):
        if not any('"tally"' in path.read_text(encoding="utf-8") for path in files_of(folder, str(arm))):
            raise RuntimeError("a witness has not seen the requests")
    return {name: each[WARM_UP:] for name, each in took.items()}


def _witness(arm: str, folder: Path, site: Path) -> dict[str, str]:
    variables = environment(arm, folder, pythonpath=os.environ.get("PYTHONPATH", ""))
    return variables | {"PYTHONPATH": variables["PYTHONPATH"].replace(str(SITE), str(site), 1)}


class _Service:
    """One process, asked over one connection by a client that takes little of the processor."""

    def __init__(self, port: int, pid: int) -> None:
        self._port, self._pid = port, pid
        self._connection: socket.socket | None = None
        self._asked = 0

    def play_turn(self) -> float:
        """Microseconds of processor time for a request, as the load would send it."""
        began = processor_ns(self._pid)
        for _ in range(REQUESTS):
            self.ask()
        return (processor_ns(self._pid) - began) / REQUESTS / 1000

    def ask(self) -> None:
        if self._connection is None:
            self._connection = socket.create_connection((LOOPBACK, self._port), timeout=30)
        self._asked += 1
        self._connection.sendall(_REQUEST % self._asked)
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            part = self._connection.recv(4096)
            answer += part
            if not part or not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the service answered {answer!r}")

    def is_ready(self) -> bool:
        try:
            self.ask()
        except ConnectionRefusedError:
            return False
        return True


_REQUEST = b"GET /one HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\nX-Request-ID: AgentUser-1-%d\r\n\r\n"


@contextmanager
def _service(dsn: str, extra: Mapping[str, str]) -> Iterator[_Service]:
    port = free_port()
    options = f"--http h11 --log-level error --timeout-keep-alive 600 --host {LOOPBACK} --port {port}"
    command = [sys.executable, "-m", "uvicorn", *options.split()]
    command += ["--app-dir", str(Path(__file__).parent), "service:app"]
    process = subprocess.Popen(command, env={**os.environ, "DSN": dsn, **extra})
    try:
        service = _Service(port, process.pid)
        limit = time.monotonic() + READY_S
        while not service.is_ready():
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("the service to be measured does not answer")
            time.sleep(0.05)
        yield service
    finally:
        process.terminate()
        process.wait(timeout=10)
