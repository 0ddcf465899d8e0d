"""The whole program with the load in two workers: the same rates, everything recorded, nothing left, no silent loss."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from tests.stack.runs import REPOSITORY, Run, Starter, eventually, write_scenario

IDLE = """
[[phases]]
name = "idle"
fault = { name = "idle_reset", after_ms = 300 }
episodes = 5
quiet_s = 0.5
burst_s = 0.6
"""
STEADY = """
[[phases]]
name = "steady"
seconds = 6
"""
ARMS = """plain = {}
pre_ping = { DB_POOL_PRE_PING = "true" }"""


def _scenario(folder: Path, name: str, phases: str) -> Path:
    locustfile = REPOSITORY / "scenarios" / "locustfile.py"
    return write_scenario(
        folder / f"{name}.toml", phases, target="agent", locustfile=locustfile, users=4, arms=ARMS
    )


def _rates(run: Run) -> dict[str, tuple[float, float]]:
    arms: dict[str, Any] = run.summary["arms"]
    return {arm: tuple(found["phases"]["idle"]["ci95"]) for arm, found in arms.items()}


def test_two_workers_give_the_rates_of_one(tmp_path: Path) -> None:
    """What breaks does not depend on how many processes ask: intervals meet, in the arm that breaks above none."""
    runs = {}
    for workers in (1, 2):
        own = tmp_path / str(workers)
        own.mkdir()
        runs[workers] = Starter(own).run(_scenario(own, "rates", IDLE), "--workers", str(workers))
    one, two = (_rates(runs[workers]) for workers in (1, 2))
    for arm in one:
        assert max(one[arm][0], two[arm][0]) <= min(one[arm][1], two[arm][1]), f"{arm}: {one} and {two}"
    assert one["plain"][1] > 0 < two["plain"][1]
    assert sorted(path.name for path in runs[2].folder.glob("requests*")) == [
        "requests-w1.ndjson",
        "requests-w2.ndjson",
    ]
    for worker in ("w1", "w2"):
        assert len({end["arm"] for end in runs[2].history(f"requests-{worker}.ndjson", "end")}) == 2
    assert {sync["worker"] for sync in runs[2].history("experiment.ndjson", "sync")} == {"w1", "w2"}
    assert "Workers of the load" in (runs[2].folder / "report.html").read_text()


def test_a_worker_that_is_killed_makes_the_verdict_unknown(tmp_path: Path) -> None:
    """Its users are missing from then on. Then the harness is killed, and nothing of it stays."""
    starter = Starter(tmp_path)
    scenario = _scenario(tmp_path, "lost", STEADY)
    with starter.start("run", scenario, "--workers", "2", "--reports", tmp_path / "reports") as run:
        victim = eventually(lambda: _worker(run, "w2"), "no worker was started", timeout_s=60)
        eventually(lambda: _in_phase(run), "the phase did not begin", timeout_s=60)
        os.kill(victim, signal.SIGKILL)
        assert run.end() == 3
    lost = [one for one in run.summary["warnings"] if one["code"] == "load_worker_lost"]
    assert [one["unknown"] for one in lost] == [True]
    assert "worker w2" in lost[0]["text"]


def test_killed_with_its_workers_at_work_it_leaves_none(tmp_path: Path) -> None:
    """kill -9 of the harness: the janitor ends master and workers."""
    scenario = _scenario(tmp_path, "killed", STEADY)
    with Starter(tmp_path).start("run", scenario, "--workers", "2", "--reports", tmp_path / "reports") as run:
        eventually(lambda: _in_phase(run), "the phase did not begin", timeout_s=60)
        run.send(signal.SIGKILL)
        run.popen.wait()


def _worker(run: Run, name: str) -> int | None:
    for process in psutil.Process(run.popen.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if process.environ().get("BROKENPIPE_SEAT") == str(int(name[1:]) - 1):
                return process.pid
    return None


def _in_phase(run: Run) -> bool:
    found = list(run.reports.glob("*/*/experiment.ndjson"))
    return bool(found) and any(
        json.loads(line)["k"] == "phase" for line in found[0].read_text().splitlines() if line.endswith("}")
    )
