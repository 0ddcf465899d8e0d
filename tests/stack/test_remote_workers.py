"""A worker on what is as good as another machine: its own network, its own clock, its own working folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.stack.runs import REPOSITORY, Starter, write_scenario

NAMESPACE = f"bp-{os.getpid()}"
OURS, THEIRS = "10.213.77.1", "10.213.77.2"
APART_S = 100_000
OTHER_CLOCK = ("unshare", "--time", "--monotonic", str(APART_S), "--fork")
STEADY = """
[[phases]]
name = "steady"
seconds = 4
"""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@dataclass(frozen=True)
class Away:
    """As good as another machine: our address as seen from there, what a command begins with, how far its clock is."""

    host: str
    prefix: tuple[str, ...]
    apart_s: int


@pytest.fixture
def away() -> Iterator[Away]:
    """A network namespace, which takes root; without, a process that shares this machine's network, and its clock."""
    ours, theirs = f"bp{os.getpid()}", f"bq{os.getpid()}"
    try:
        _ip("netns", "add", NAMESPACE)
    except (OSError, subprocess.CalledProcessError):
        yield Away("127.0.0.1", (), 0)
        return
    try:
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", NAMESPACE)
        _ip("addr", "add", f"{OURS}/24", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", NAMESPACE, "addr", "add", f"{THEIRS}/24", "dev", theirs)
        _ip("-n", NAMESPACE, "link", "set", theirs, "up")
        yield Away(OURS, ("ip", "netns", "exec", NAMESPACE, *OTHER_CLOCK), APART_S)
    finally:
        _ip("netns", "del", NAMESPACE)


def test_a_worker_elsewhere_comes_home(tmp_path: Path, away: Away) -> None:
    """Its requests are in the report, on our clock, though its own is a day ahead; it ends with the run."""
    scenario = write_scenario(
        tmp_path / "elsewhere.toml",
        STEADY,
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "locustfile.py",
    )
    folder = tmp_path / "away"
    folder.mkdir()
    with socket.create_server((away.host, 0)) as free:
        master = f"{away.host}:{free.getsockname()[1]}"
    command = [*away.prefix, sys.executable, "-m", "brokenpipe", "worker", "--master", master]
    options = ("--workers", "1", "--master-bind", master, "--reports", tmp_path / "reports")
    with (
        Starter(tmp_path).start("run", scenario, *options) as run,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as worker,
    ):
        try:
            run.end()
            assert worker.wait(20) == 0
        finally:
            worker.kill()
    requests = run.summary["arms"]["plain"]["phases"]["steady"]["requests"]
    ends = run.history("requests-w1.ndjson", "end")
    (begin, end) = (edge["t"] for edge in run.history("experiment.ndjson", "phase"))
    theirs = [each["t0"] - away.apart_s * 1e9 for each in ends]
    assert requests == pytest.approx(sum(begin <= t < end for t in theirs), abs=1)
    assert requests > 10
    for sync in run.history("experiment.ndjson", "sync"):
        assert abs(sync["offset_ns"] + away.apart_s * 1e9) <= sync["error_ns"] + 1e6
    assert not list(folder.iterdir())
