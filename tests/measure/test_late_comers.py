"""What comes at the wrong moment, or from two sides at once, is told as what it is."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, TARGET, scenario

from brokenpipe.drive.locust.process import LocustProcess
from brokenpipe.drive.runner import RunSpec, record_experiment
from brokenpipe.errors import RecordingError, UsageError
from brokenpipe.history.records import LoopLag
from brokenpipe.history.writer import Writer
from brokenpipe.load.config import LoadConfig
from brokenpipe.load.messages import WorkerClockOffset, encode
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.builder import stop_together
from brokenpipe.stack.containers.cleanup import sweep
from brokenpipe.stack.processes.ports import poll


def test_a_disk_that_is_full_when_a_clock_is_measured() -> None:
    """It is told as the full disk, whatever thread meets it, and not as a load that has ended by itself."""

    def refuse(_: WorkerClockOffset) -> None:
        raise RecordingError("the disk is full", remedy="Make room.")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        config = LoadConfig(Path("locustfile.py"), {}, 1, 1, Path("requests"), 1.0)
        load = LocustProcess(config, None, ours, on_aligned=refuse)  # type: ignore[arg-type]
        theirs.sendall(encode(WorkerClockOffset("w1", 0, 1)))
        assert poll(lambda: load.failure, timeout_s=20)
        with pytest.raises(RecordingError, match="the disk is full"):
            load.wait_ready(1.0)
        load._stopping = True


def test_two_that_resume_at_once(tmp_path: Path) -> None:
    """Who comes second finds another part than it looked at before the folder was held, and writes nothing."""
    planned = scenario(STEADY)
    with Recorded(tmp_path, planned):
        pass
    Writer(tmp_path / "experiment.r2.ndjson", "experiment").close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    second = RunSpec(
        Plan(stem="by_hand", scenario=planned, target=TARGET),
        Sources(tmp_path / "x.toml", "", tmp_path, tmp_path / "locustfile.py"),
        Project(tmp_path),
        tmp_path,
        "brokenpipe resume",
        part=2,
        remaining=(),
    )
    with (
        ExitStack() as remains,
        pytest.raises(UsageError, match="another command has gone on with this run"),
    ):
        record_experiment(second, remains)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_gauge_that_comes_too_late(tmp_path: Path) -> None:
    """A closed file takes nothing more, and whoever writes it is told in a way that all writers expect."""
    writer = Writer(tmp_path / "gauges.ndjson", "probe")
    writer.write(LoopLag(1, 2.0))
    writer.close()
    before = writer.path.read_bytes()
    with pytest.raises(RecordingError, match="is closed"):
        writer.write(LoopLag(2, 3.0))
    assert writer.path.read_bytes() == before


class _Engine:
    """A client of an engine that has three containers and a network, and refuses in two ways."""

    def __init__(self, refuse: Callable[[str], None]) -> None:
        self.api = self
        self.gone: list[str] = []
        self._refuse = refuse
        self._lock = threading.Lock()

    def containers(self, **_: Any) -> list[dict[str, str]]:
        return [{"Id": "one"}, {"Id": "two"}, {"Id": "three"}]

    def networks(self, **_: Any) -> list[dict[str, str]]:
        return [{"Id": "net"}]

    def remove_container(self, which: str, **_: Any) -> None:
        self._refuse(which)
        with self._lock:
            self.gone.append(which)

    def remove_network(self, which: str) -> None:
        self.gone.append(which)


def test_a_sweep_that_fails_says_so_when_the_rest_is_done() -> None:
    """One container that cannot be removed for want of an engine keeps nothing else, and is not passed over."""

    def refuse(which: str) -> None:
        if which == "one":
            raise ConnectionError("no engine")
        if which == "two":
            raise APIError("somebody else removes it")

    engine = _Engine(refuse)
    with pytest.raises(ConnectionError, match="no engine"):
        sweep(engine, "a run")
    assert sorted(engine.gone) == ["net", "three"]


def test_a_target_that_cannot_be_ended_is_not_passed_over() -> None:
    """All are asked, and what one of them meets reaches whoever ends them."""
    asked = []

    class Target:
        def __init__(self, name: str) -> None:
            self.name = name

        def stop(self, *_: object) -> None:
            asked.append(self.name)
            if self.name == "first":
                raise PermissionError("not ours")

    with pytest.raises(PermissionError, match="not ours"):
        stop_together([Target("first"), Target("second")])  # type: ignore[list-item]
    assert sorted(asked) == ["first", "second"]


# In a process of its own, because Locust patches the libraries of the one that imports it.
KILLED_BEFORE_ITS_TURN = """
from pathlib import Path
import gevent
from brokenpipe.load.pacing.open_load import OpenLoadScheduler
from brokenpipe.load.shards import SINGLE

class Log:
    missed_at = []
    def missed(self, due_ns, arm):
        self.missed_at.append((arm, due_ns))

for is_open in (True, False):
    arrivals = OpenLoadScheduler(0.001, 1, {"plain": ""}, Log)
    Log.missed = lambda due_ns, arm: Log.missed_at.append((arm, due_ns))
    if is_open:
        arrivals.open(("plain",), 1)
    taken = []
    user = gevent.spawn(lambda: taken.append(arrivals.wait_for_arrival("plain")))
    gevent.sleep(0)
    user.kill(block=False)  # it ends in the loop's next round, and gets an arrival in this one
    arrivals._queues["plain"].add(7)
    user.join()
    print(taken, list(arrivals._queues["plain"].waiting), Log.missed_at)
    arrivals.shut_down()
    print(Log.missed_at)
"""


def test_an_arrival_whose_user_was_killed_before_its_turn() -> None:
    """It is the next user's while arrivals are open, and missed otherwise: begun and missed are as many as were due."""
    out = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_ITS_TURN],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    given_back, then_missed, missed_at_once, in_all = out.stdout.splitlines()
    assert given_back == "[] [7] []"
    assert then_missed == "[('plain', 7)]"
    assert missed_at_once == "[] [] [('plain', 7), ('plain', 7)]"
    assert in_all == missed_at_once.partition("] [] ")[2]
