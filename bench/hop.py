"""One Toxiproxy hop against none: pgbench, select only, one client, both taking turns."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from brokenpipe.stack.postgres.cluster import find_binaries
from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.proxy.server import toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

TURNS = 8
SECONDS = 2
_TPS = re.compile(r"tps = ([0-9.]+)")


def rows() -> Iterator[str]:
    """One line: microseconds a transaction, and the ratio."""
    proxies = Path(__file__).parents[1] / "proxies"
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch:
        log = Path(scratch)
        with (
            postgres(log_path=log / "postgres.log", janitor=NoJanitor()) as server,
            toxiproxy_server(
                toxiproxy_binary(proxies), log_path=log / "toxiproxy.log", janitor=NoJanitor()
            ) as hop,
            hop.scratch_proxy((server.host, server.port)) as proxy,
        ):
            _pgbench("-i", "-q", server.dsn())
            ways = (server.dsn(), server.dsn(port=proxy.port))
            turns = [[_microseconds(way) for way in ways] for _ in range(TURNS)]
    without, through = (median(column) for column in zip(*turns, strict=True))
    ratio = median(b / a for a, b in turns)
    yield f"without {without:.0f} µs, through it {through:.0f} µs a transaction: {ratio:.2f} times, {TURNS} turns"


def _microseconds(dsn: str) -> float:
    found = _TPS.search(_pgbench("-S", "-n", "-c", "1", "-T", str(SECONDS), dsn))
    if found is None:
        raise RuntimeError("pgbench did not say how many transactions it made")
    return 1e6 / float(found[1])


def _pgbench(*arguments: str) -> str:
    command = [str(find_binaries() / "pgbench"), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout
