"""One hop through our proxy, its toxics neutral, against stock Toxiproxy without a toxic: pgbench, select only.

Both forward to the same Postgres and take turns; the ratio is that of two turns beside each other. Processor time
is that of the proxy's process. With one client a third way, past any proxy, tells what a hop costs at all.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from bench.processor_clock import processor_ns
from brokenpipe.stack.postgres.cluster import find_binaries
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import find_go, toxiproxy_binary

TURNS = 8
PROXIES = Path(__file__).parents[1] / "proxies"
STOCK = "github.com/Shopify/toxiproxy/v2/cmd/server"
_TPS = re.compile(r"tps = ([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Load:
    """pgbench at `arms` proxies at once, each with as many clients, which make as many round trips each."""

    name: str
    arms: int
    clients: int
    round_trips: int


LOADS = (
    Load("1 client", 1, 1, 2500),
    Load("8 clients", 1, 8, 400),
    Load("4 arms, 10 clients each", 4, 10, 100),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one round trip took."""

    processor_us: float
    latency_us: float


@dataclass(frozen=True, slots=True)
class Way:
    """The ports that lead to Postgres, one for each arm, and the process behind them if there is one."""

    ports: Sequence[int]
    pid: int | None = None

    def play(self, server: Postgres, load: Load) -> Turn:
        before = self._processor_ns()
        running = [_pgbench(server.dsn(port=port), load) for port in self.ports[: load.arms]]
        latency_us = median(load.clients * 1e6 / _rate(each) for each in running)
        used_ns = self._processor_ns() - before
        return Turn(used_ns / 1000 / (load.arms * load.clients * load.round_trips), latency_us)

    def _processor_ns(self) -> int:
        return processor_ns(self.pid) if self.pid else 0


def rows(turns: int = TURNS) -> Iterator[str]:
    """Two lines for each load, one for memory, one for what a hop costs at all."""
    with _ways() as (server, ways):
        for load in LOADS:
            wanted = {name: way for name, way in ways.items() if way.pid or load.clients == 1}
            took = _alternate(server, wanted, load, turns)
            ours, stock = took["ours"], took["stock"]
            yield f"{load.name}: processor {_compared([t.processor_us for t in ours], [t.processor_us for t in stock])}"
            yield f"{load.name}: latency {_compared([t.latency_us for t in ours], [t.latency_us for t in stock])}"
            if straight := took.get("straight"):
                yield f"{load.name}: latency past any proxy {median(t.latency_us for t in straight):.0f} µs"
        peaks = {name: _peak_mb(way.pid) for name, way in ways.items() if way.pid}
        yield f"peak memory: ours {peaks['ours']:.1f} MB, stock {peaks['stock']:.1f} MB"


def _alternate(server: Postgres, ways: Mapping[str, Way], load: Load, turns: int) -> dict[str, list[Turn]]:
    took: dict[str, list[Turn]] = {name: [] for name in ways}
    for turn in range(turns):
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            took[name].append(ways[name].play(server, load))
    return took


def _compared(ours: Sequence[float], stock: Sequence[float]) -> str:
    low, middle, high = quantiles((a / b for a, b in zip(ours, stock, strict=True)), n=4)
    return (
        f"ours {median(ours):.0f} µs, stock {median(stock):.0f} µs a round trip: {middle:.2f} times "
        f"(quartiles {low:.2f} and {high:.2f}), {len(ours)} turns"
    )


@contextmanager
def _ways() -> Iterator[tuple[Postgres, Mapping[str, Way]]]:
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch, ExitStack() as ends:
        folder = Path(scratch)
        server = ends.enter_context(postgres(log_path=folder / "postgres.log", janitor=NoJanitor()))
        subprocess.run(
            [str(find_binaries() / "pgbench"), "-i", "-q", server.dsn()], check=True, capture_output=True
        )
        ours = ends.enter_context(
            toxiproxy_server(toxiproxy_binary(PROXIES), log_path=folder / "ours.log", janitor=NoJanitor())
        )
        stock = ends.enter_context(
            toxiproxy_server(_stock(folder), log_path=folder / "stock.log", janitor=NoJanitor())
        )
        yield (
            server,
            {
                "stock": _way(stock, server, neutral=False),
                "ours": _way(ours, server, neutral=True),
                "straight": Way((server.port,)),
            },
        )


def _way(hop: ToxiproxyServer, server: Postgres, *, neutral: bool) -> Way:
    toxics = None if neutral else ()
    arms = [hop.create_proxy(f"arm_{n}", (server.host, server.port), toxics=toxics) for n in range(4)]
    return Way(tuple(arm.port for arm in arms), hop.child.pid)


def _stock(folder: Path) -> Path:
    """Toxiproxy's own server, of the version that ours is built from."""
    go, binary = find_go(PROXIES), folder / "stock"
    subprocess.run(
        [go.program, "build", "-o", binary, STOCK],
        cwd=PROXIES,
        env=go.environment,
        check=True,
        capture_output=True,
    )
    return binary


def _pgbench(dsn: str, load: Load) -> subprocess.Popen[str]:
    command = [
        str(find_binaries() / "pgbench"),
        "-S",
        "-n",
        "-c",
        str(load.clients),
        "-t",
        str(load.round_trips),
    ]
    return subprocess.Popen([*command, dsn], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _rate(pgbench: subprocess.Popen[str]) -> float:
    said = pgbench.communicate(timeout=120)[0]
    found = _TPS.search(said)
    if found is None:
        raise RuntimeError("pgbench did not say how many transactions it made")
    return float(found[1])


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1000 if found else float("nan")
