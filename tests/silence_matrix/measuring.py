"""All cells at the same time: one Postgres, a proxy for each silence, a process for each driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.silence_matrix.rows import DRIVERS, ROWS, SILENCES, SITUATIONS, Cell, Row, Silence

from brokenpipe.drive.observers.socket_observers import GRACE_S
from brokenpipe.faults import BlackHole, Fault, PacketDrop
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

REPOSITORY = Path(__file__).parents[2]
FAULTS: Mapping[Silence, Fault] = {"black hole": BlackHole(), "packet loss": PacketDrop()}
# From the beginning of the long queries to the injection: they have reached Postgres by then.
UNDER_WAY_S = 0.5
START_S = 120.0  # measured: 4 s


def measure(folder: Path, limit_s: float) -> list[Cell]:
    """Every cell of the table. What has not ended `limit_s` after the injection counts as hanging.

    In a namespace of our own only. Takes ten seconds longer than the limit.
    """
    with ExitStack() as running:
        database = running.enter_context(
            postgres(log_path=folder / "postgres.log", janitor=NoJanitor(), max_connections=300)
        )
        server = running.enter_context(
            toxiproxy_server(
                toxiproxy_binary(REPOSITORY / "proxies"),
                log_path=folder / "toxiproxy.log",
                janitor=NoJanitor(),
            )
        )
        own = database.create_database("silence")
        proxies = {
            silence: running.enter_context(server.scratch_proxy((database.host, database.port)))
            for silence in SILENCES
        }
        where = {
            silence: f"postgresql://{own.user}:{own.password}@{proxy.host}:{proxy.port}/{own.name}"
            for silence, proxy in proxies.items()
        }
        services = [running.enter_context(_service(driver, where, folder)) for driver in DRIVERS]
        for service in services:
            service.wait_ready()
        for service in services:
            service.tell("begin")
        time.sleep(UNDER_WAY_S)
        with _silenced(proxies) as since_ns:
            for service in services:
                service.tell("use")
            time.sleep(limit_s)
            return sorted(cell for service in services for cell in service.cells(since_ns))


@contextmanager
def _silenced(proxies: Mapping[Silence, Proxy]) -> Iterator[int]:
    """Since when nothing gets through."""
    since_ns = time.monotonic_ns()
    for silence, proxy in proxies.items():
        FAULTS[silence].inject(proxy)
    assert time.monotonic_ns() - since_ns < GRACE_S * 1e9 * 4, "the machine is too busy to time anything"
    try:
        yield since_ns
    finally:
        for silence, proxy in proxies.items():
            FAULTS[silence].heal(proxy)


@dataclass
class _Service:
    """The process of one driver, and what it has said of which cell."""

    popen: subprocess.Popen[str]
    asked: Sequence[Cell]
    ended: dict[int, tuple[int, str]]
    ready: threading.Event
    log: Path

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not self.ready.wait(0.1):
            assert self.popen.poll() is None, f"a service ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"a service did not come up within {START_S:g} s"

    def tell(self, word: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(word + "\n")
        self.popen.stdin.flush()

    def listen(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            words = json.loads(line)
            if "id" in words:
                self.ended[words["id"]] = (words["t"], words["error"])
            else:
                self.ready.set()

    def cells(self, since_ns: int) -> Iterator[Cell]:
        for n, cell in enumerate(self.asked):
            if n in self.ended:
                t, error = self.ended[n]
                yield replace(cell, after_s=(t - since_ns) / 1e9, error=error)
            else:
                yield cell


@contextmanager
def _service(driver: str, where: Mapping[Silence, str], folder: Path) -> Iterator[_Service]:
    asked = [
        (row, Cell(driver, row.name, silence, situation))
        for row in ROWS
        if driver in row.drivers
        for silence in SILENCES
        for situation in SITUATIONS
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'targets' / 'agent'}",
    }
    log_path = folder / f"{driver}.log"
    with log_path.open("wb") as log:
        popen = subprocess.Popen(
            [sys.executable, "-m", "tests.silence_matrix.service"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
    service = _Service(popen, [cell for _, cell in asked], {}, threading.Event(), log_path)
    ear = threading.Thread(target=service.listen, name=driver)
    ear.start()
    try:
        service.tell(
            json.dumps([_told(n, row, cell, where[cell.silence]) for n, (row, cell) in enumerate(asked)])
        )
        yield service
    finally:
        popen.kill()  # what hangs cannot be asked to end
        popen.wait()
        ear.join()
        for pipe in (popen.stdin, popen.stdout):
            assert pipe is not None
            pipe.close()


def _told(n: int, row: Row, cell: Cell, dsn: str) -> dict[str, object]:
    settings = {"DATABASE_URL": dsn, "DB_DRIVER": cell.driver, "DB_POOL_SIZE": "1", **row.env}
    return {"id": n, "env": settings, "situation": cell.situation, "within_s": row.within_s}
