"""A worker on what is as good as another machine, and `--isolate`, in one run.

The worker has its own network, its own clock and its own working folder. One arm is asked at a time, in alternating
order; strikes hit all arms side by side as ever.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.stack.runs import Run, Starter, write_scenario

NAMESPACE = f"bp-{os.getpid()}"
OURS, THEIRS = "10.213.77.1", "10.213.77.2"
APART_S = 100_000
OTHER_CLOCK = ("unshare", "--time", "--monotonic", str(APART_S), "--fork")
PHASES = """
[[phases]]
name = "steady"
seconds = 4

[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 1
every_s = 1
"""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@dataclass(frozen=True)
class Away:
    """As good as another machine: our address as seen from there, what a command begins with, how far its clock is."""

    host: str
    prefix: tuple[str, ...]
    apart_s: int


@contextmanager
def _away() -> Iterator[Away]:
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


@dataclass(frozen=True)
class Played:
    """A run that is over, and what became of its worker."""

    run: Run
    apart_s: int
    worker_code: int
    worker_folder: Path

    @property
    def ends(self) -> list[dict[str, Any]]:
        """The ends of all requests, by our clock."""
        ends = self.run.history("requests-w1.ndjson", "end")
        return [{**end, "t0": end["t0"] - self.apart_s * 1e9} for end in ends]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Played:
    """Two arms that take turns; the worker's clock is a day ahead."""
    folder = tmp_path_factory.mktemp("elsewhere")
    scenario = write_scenario(
        folder / "elsewhere.toml",
        PHASES,
        target="pooled",
        locustfile=project / "scenarios" / "unhurried.py",
        arms="plain = {}\nother = {}",
    )
    worker_folder = folder / "away"
    worker_folder.mkdir()
    with _away() as away:
        with socket.create_server((away.host, 0)) as free:
            master = f"{away.host}:{free.getsockname()[1]}"
        command = [*away.prefix, sys.executable, "-m", "brokenpipe", "worker", "--master", master]
        options = ("--isolate", "--workers", "1", "--master-bind", master, "--reports", folder / "reports")
        with (
            Starter(folder).start("run", scenario, *options, cwd=project, html=True) as run,
            subprocess.Popen(command, cwd=worker_folder, stdout=subprocess.DEVNULL) as worker,
        ):
            try:
                run.end()
                worker.wait(60)
            finally:
                worker.kill()
    return Played(run, away.apart_s, worker.returncode, worker_folder)


def test_a_worker_elsewhere_comes_home(played: Played) -> None:
    """Its requests are in the report, on our clock; it ends with the run, and leaves nothing where it was."""
    run = played.run
    assert played.worker_code == 0
    requests = {arm: found["phases"]["steady"]["requests"] for arm, found in run.summary["arms"].items()}
    turns = [each for each in run.history("experiment.ndjson", "episode") if each["phase"] == "steady"]
    asked = Counter(
        end["arm"]
        for end in played.ends
        for turn in turns
        if end["arm"] == turn["arm"] and turn["t0"] <= end["t0"] < turn["t1"]
    )
    assert requests == pytest.approx(asked, abs=2)
    assert min(requests.values()) > 5
    syncs = run.history("experiment.ndjson", "sync")
    assert syncs
    for sync in syncs:
        assert abs(sync["offset_ns"] + played.apart_s * 1e9) <= sync["error_ns"] + 1e6
    assert not list(played.worker_folder.iterdir())


def test_arms_take_turns(played: Played) -> None:
    """In an arm's turn no other arm is asked; the order is forth and back; a strike hits both at once."""
    run = played.run
    assert run.popen.returncode == 3, run.out  # nothing was expected
    episodes = run.history("experiment.ndjson", "episode")
    turns = [(each["n"], each["arm"]) for each in episodes if each["phase"] == "steady"]
    assert turns == [(0, "plain"), (0, "other"), (1, "other"), (1, "plain")]
    assert [each["arm"] for each in episodes if each["phase"] == "kill"] == [None]
    for episode in episodes[:4]:
        asked = {end["arm"] for end in played.ends if episode["t0"] <= end["t0"] < episode["t1"]}
        assert asked == {episode["arm"]}
    arms = run.summary["arms"].values()
    assert [arm["phases"]["steady"]["episodes"] for arm in arms] == [2, 2]
    assert run.summary["isolated"] == ["steady"]
    assert "one arm at a time" in run.out
    assert "one arm at a time" in (run.folder / "report.html").read_text()
