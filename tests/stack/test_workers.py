"""The load in one process, with episodes added until all is decided, and in two workers: the same rates, no loss.

What `--until-decided` adds is added where an interval is open, and nowhere else.
"""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.stack.runs import BURSTS, REPOSITORY, STEADY, Run, Starter, eventually, write_scenario
from tests.stack.test_doubts import _phase_began

from brokenpipe.measure.pipeline import measure

pytestmark = pytest.mark.exclusive  # on a busy machine no episodes are added

START_S = 150.0  # on a busy machine
ARMS = 'plain = {}\npre_ping = { DB_POOL_PRE_PING = "true" }'
# Nothing is above what it is: the first can never be decided in an arm where nothing breaks. The second is at once.
EXPECT = """
[[expect]]
arm = "pre_ping"
phase = "idle"
metric = "broken_pipe_rate"
above = 0.0

[[expect]]
arm = "plain"
phase = "steady"
metric = "failure_rate"
at_most = 0.9
"""


def _scenario(folder: Path, name: str, phases: str) -> Path:
    locustfile = REPOSITORY / "scenarios" / "locustfile.py"
    return write_scenario(
        folder / f"{name}.toml", phases, target="agent", locustfile=locustfile, users=4, arms=ARMS
    )


@dataclass(frozen=True)
class Loads:
    """The same users twice: from one process, and from two workers."""

    one: Run
    two: Run


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Loads:
    """Both, side by side: neither asks much of the machine."""
    with (
        _one(tmp_path_factory.mktemp("until_decided")) as one,
        _two(tmp_path_factory.mktemp("workers")) as two,
    ):
        eventually(
            lambda: two.popen.poll() is not None or _phase_began(two, "steady"),
            "the phase did not begin",
            timeout_s=START_S,
        )
        assert two.popen.poll() is None, two.out
        os.kill(_worker(two, "w2"), signal.SIGKILL)
        two.end()
        one.end()
    return Loads(one, two)


def _one(folder: Path) -> AbstractContextManager[Run]:
    """One process of the load. Three episodes, and then three more: the limit is six."""
    scenario = _scenario(folder, "open", STEADY.replace("2", "4") + BURSTS + EXPECT)
    options = ("--until-decided", "--at-most", "6", "--reports", folder / "reports")
    return Starter(folder).start("run", scenario, *options)


def _two(folder: Path) -> AbstractContextManager[Run]:
    """Two workers, of which one is killed in the last phase."""
    phases = BURSTS.replace("episodes = 3", "episodes = 6") + STEADY.replace("2", "5")
    options = ("--workers", "2", "--reports", folder / "reports")
    return Starter(folder).start("run", _scenario(folder, "lost", phases), *options, html=True)


@pytest.fixture
def one(loads: Loads) -> Run:
    """From one process."""
    return loads.one


@pytest.fixture
def two(loads: Loads) -> Run:
    """From two workers."""
    return loads.two


def _worker(run: Run, name: str) -> int:
    for process in psutil.Process(run.popen.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if process.environ().get("BROKENPIPE_SEAT") == str(int(name[1:]) - 1):
                return process.pid
    raise AssertionError(f"there is no worker {name}")


# --- until all is decided -------------------------------------------------------------------------------


def test_it_ends_at_its_limit(one: Run) -> None:
    """What more episodes cannot decide stays unknown, and the run says that it looked."""
    assert one.popen.returncode == 3, one.out
    assert "looking whether everything is decided" in one.out
    assert one.last_line.startswith("? UNKNOWN")


def test_only_the_open_phase_got_more(one: Run) -> None:
    """Six episodes where an interval was open, numbered on; what was decided was not played again."""
    episodes = one.history("experiment.ndjson", "episode")
    assert [each["n"] for each in episodes if each["phase"] == "idle"] == [0, 1, 2, 3, 4, 5]
    assert [each["n"] for each in episodes if each["phase"] == "steady"] == [0, 1]
    edges = [(each["name"], each["edge"]) for each in one.history("experiment.ndjson", "phase")]
    assert edges == [(name, edge) for name in ("steady", "idle", "idle") for edge in ("begin", "end")], (
        "the timeline, then the open phase"
    )


def test_each_episode_of_both_stretches_landed(one: Run) -> None:
    """What was added was watched like the rest: a sentinel saw the fault in every episode of every arm."""
    landings = one.history("nemesis.ndjson", "landing")
    landed = {(each["arm"], each["episode"]) for each in landings if each["landed"]}
    assert landed == {(arm, n) for arm in ("plain", "pre_ping") for n in range(6)}


def test_measured_again_it_says_the_same(one: Run) -> None:
    """The looks stand in plan.json, so the same error is split between them when the folder is read again."""
    findings = measure(one.folder)
    (open_, _) = findings.checks
    assert open_.open
    written = one.summary["checks"][0]
    assert (open_.ci95 and [open_.ci95.low, open_.ci95.high]) == written["ci95"]
    assert any("judged after 3, 6; planned were looks at 3, 6." in note for note in findings.notes)


# --- two workers ----------------------------------------------------------------------------------------


def _rates(run: Run) -> dict[str, tuple[float, float]]:
    arms: dict[str, Any] = run.summary["arms"]
    return {arm: tuple(found["phases"]["idle"]["ci95"]) for arm, found in arms.items()}


def test_two_workers_give_the_rates_of_one(one: Run, two: Run) -> None:
    """What breaks does not depend on how many processes ask: intervals meet, in the arm that breaks above none."""
    of_one, of_two = _rates(one), _rates(two)
    for arm in of_one:
        assert max(of_one[arm][0], of_two[arm][0]) <= min(of_one[arm][1], of_two[arm][1]), (
            f"{arm}: {of_one} and {of_two}"
        )
    assert of_one["plain"][1] > 0 < of_two["plain"][1]


def test_everything_that_two_workers_saw_is_recorded(two: Run) -> None:
    """A file each, with requests of both arms; their clocks are compared, and the report says that there were two."""
    assert sorted(path.name for path in two.folder.glob("requests*")) == [
        "requests-w1.ndjson",
        "requests-w2.ndjson",
    ]
    for worker in ("w1", "w2"):
        assert len({end["arm"] for end in two.history(f"requests-{worker}.ndjson", "end")}) == 2
    assert {sync["worker"] for sync in two.history("experiment.ndjson", "sync")} == {"w1", "w2"}
    assert "Workers of the load" in (two.folder / "report.html").read_text()


def test_a_worker_that_is_killed_makes_the_verdict_unknown(two: Run) -> None:
    """Its users are missing from then on."""
    assert two.popen.returncode == 3, two.out
    lost = [warning for warning in two.summary["warnings"] if warning["code"] == "load_worker_lost"]
    assert [warning["unknown"] for warning in lost] == [True]
    assert "worker w2" in lost[0]["text"]
