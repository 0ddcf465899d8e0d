"""`brokenpipe run`, killed with -9 at random moments: is everything gone within 5 s, can what was recorded be read?

    python tests/stack/kill_runs.py --runs 20 --seed 1
    python tests/stack/kill_runs.py --runs 10 --seed 1 --stack compose

In containers also what is on the Docker engine is looked for: that is removed over calls to the engine, and has
longer to go.

The moments are spread over a whole run: each falls at random into one of as many equal stretches as there are
runs. The sample agent runs with two workers an arm, which are grandchildren of the harness.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run by hand, only this folder is on the path

from tests.containers.containers import left_by, unused_volumes
from tests.stack.runs import BROKENPIPE, REPOSITORY, Run, Starter, write_scenario

EARLIEST_S = 0.1
ENGINE_CLEAN_WITHIN_S = 15.0
NOTHING_RECORDED = re.compile(r"error: .*(no experiment\.ndjson here|is not there|cannot be read)", re.DOTALL)

PHASES = """
[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 2
every_s = 0.5

[[phases]]
name = "idle"
fault = { name = "idle_reset", after_ms = 300 }
episodes = 1
quiet_s = 0.5
burst_s = 0.3
"""
ARMS = """plain = {}
pre_ping = { DB_POOL_PRE_PING = "true" }"""


@dataclass(frozen=True)
class Killed:
    """One run that was killed: when, what it was doing, and what came of it."""

    after_s: float
    doing: str
    processes: int  # that were alive at that moment
    clean_after_s: float
    left: tuple[str, ...]
    report: str  # "made", "nothing recorded", or what else `brokenpipe report` said

    @property
    def good(self) -> bool:
        return not self.left and self.report in {"made", "nothing recorded"}

    def __str__(self) -> str:
        head = f"{'ok ' if self.good else 'BAD'} killed after {self.after_s:5.2f} s, {self.processes:2} processes: "
        tail = f"clean after {self.clean_after_s:.2f} s; report: {self.report}; it was at: {self.doing}"
        return "\n".join([head + tail, *(f"    left: {each}" for each in self.left)])


def kill_runs(
    folder: Path, *, runs: int, seed: int, whole_run_s: float, stack: str = "local"
) -> Iterator[Killed]:
    """Kill so many runs, the first ones early and the last ones late."""
    chance = random.Random(seed)
    stretch_s = (whole_run_s - EARLIEST_S) / runs
    for number in range(runs):
        own = folder / f"run-{number}"
        own.mkdir()
        yield kill_one(Starter(own), after(EARLIEST_S + (number + chance.random()) * stretch_s), stack)


def after(seconds: float) -> Callable[[Run], None]:
    """The moment so long after the start, or the end if that comes first."""

    def moment(run: Run) -> None:
        with suppress(subprocess.TimeoutExpired):
            run.popen.wait(seconds)

    return moment


def kill_one(starter: Starter, moment: Callable[[Run], None], stack: str = "local", *options: str) -> Killed:
    """Start a run, kill it when `moment` returns, and look at what is left."""
    scenario = agent_scenario(starter.folder)
    unused_before = unused_volumes() if stack == "compose" else frozenset()
    reports = starter.folder / "reports"
    arguments: tuple[str | Path, ...] = ("run", scenario, "--stack", stack, "--reports", reports, *options)
    with starter.start(*arguments, judge=False) as run:
        began = time.monotonic()
        moment(run)
        after_s = time.monotonic() - began
        run.send(signal.SIGKILL)
        run.popen.wait()
        clean_after_s, left = run.leftovers.gone_after()
        if stack == "compose":
            further_s, on_engine = _gone_from_engine(run.popen.pid, unused_before)
            clean_after_s, left = clean_after_s + further_s, [*left, *on_engine]
    doing = run.last_line if run.out.strip() else "nothing said yet"
    return Killed(after_s, doing, run.leftovers.seen, clean_after_s, tuple(left), _report(run.reports))


def _gone_from_engine(harness: int, unused_before: frozenset[str]) -> tuple[float, list[str]]:
    started = time.monotonic()
    while (left := left_by(harness, unused_before)) and time.monotonic() - started < ENGINE_CLEAN_WITHIN_S:
        time.sleep(0.2)
    return time.monotonic() - started, left


def agent_scenario(folder: Path) -> Path:
    return write_scenario(
        folder / "killed.toml",
        PHASES,
        target="agent",
        locustfile=REPOSITORY / "scenarios" / "locustfile.py",
        arms=ARMS,
        env={"WEB_CONCURRENCY": "2"},
    )


def _report(reports: Path) -> str:
    """What comes of `brokenpipe report` on the folder of the killed run."""
    folders = [path for path in reports.glob("*/*") if path.is_dir() and not path.is_symlink()]
    folder = folders[0] if folders else reports
    done = subprocess.run(
        [*BROKENPIPE, "report", str(folder)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode == 0 and (folder / "report.html").is_file() and "Traceback" not in said:
        return "made"
    recorded = (folder / "experiment.ndjson").is_file()
    if done.returncode == 2 and not recorded and NOTHING_RECORDED.search(said):
        return "nothing recorded"
    return f"exit {done.returncode}: {said}"


def _whole_run_s(folder: Path, stack: str) -> float:
    """How long a run takes here when nobody kills it."""
    folder.mkdir()
    started = time.monotonic()
    Starter(folder).run(agent_scenario(folder), "--stack", stack)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", choices=("local", "compose"), default="local")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-nine-") as folder:
        whole_run_s = _whole_run_s(Path(folder) / "whole", asked.stack)
        print(f"a whole run takes {whole_run_s:.1f} s", flush=True)
        outcomes = []
        for killed in kill_runs(
            Path(folder), runs=asked.runs, seed=asked.seed, whole_run_s=whole_run_s, stack=asked.stack
        ):
            outcomes.append(killed)
            print(killed, flush=True)
    worst = max(killed.clean_after_s for killed in outcomes)
    bad = sum(not killed.good for killed in outcomes)
    print(f"{len(outcomes) - bad} of {len(outcomes)} left nothing behind; the slowest took {worst:.2f} s")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
