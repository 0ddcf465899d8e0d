"""`brokenpipe soak`, cut at random moments by kill -9, SIGTERM or a full disk, and resumed: is all of it there then?

    python tests/stack/interrupted_soaks.py --soaks 30 --seed 1 [--lock FILE]

The service keeps books of what it answered, so what clients were told a second before the cut is known from elsewhere.
The moments are spread over the whole soak. With --lock each soak waits for that file, for machines that are shared.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run by hand, only this folder is on the path

from tests.stack.conftest import make_project
from tests.stack.runs import Run, Starter, write_scenario

from brokenpipe.plan.plan import Plan

HOWS = ("kill -9", "SIGTERM", "a full disk")
HANDED_OVER_S = 1.0  # what was answered longer ago than this must be there
DISK = "size=24m"
STEADY_S = 4
PHASES = """
[[phases]]
name = "steady"
seconds = {steady_s}

[[phases]]
name = "kill"
fault = {{ name = "socket_kill" }}
episodes = 2
every_s = 0.5

[[phases]]
name = "idle"
fault = {{ name = "idle_reset", after_ms = 300 }}
episodes = 2
quiet_s = 0.5
burst_s = 0.3
"""
ARMS = ("plain", "other")


@dataclass(frozen=True)
class Cut:
    """One soak that was cut: when and how, and everything that was wrong afterwards."""

    how: str
    after_s: float
    doing: str
    finished: int  # episodes before the cut
    answered: int  # requests that the service had answered a second before
    outcome: str  # "resumed", "nothing recorded", "was finished"
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{'BAD' if self.wrong else 'ok '} {self.how:11} after {self.after_s:5.1f} s: {self.outcome}, "
        tail = f"{self.finished} episodes and {self.answered} requests before; it was at: {self.doing}"
        return "\n".join([head + tail, *(f"    {each}" for each in self.wrong)])


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, for reports. Raises CalledProcessError where mounting is forbidden."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "small", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def soak_scenario(folder: Path, project: Path, steady_s: int = STEADY_S) -> Path:
    """Two arms of a service that keeps books of its answers."""
    arms = "\n".join(f'{arm} = {{ LEDGER = "{folder / f"answers-{arm}"}" }}' for arm in ARMS)
    return write_scenario(
        folder / "soak.toml",
        PHASES.format(steady_s=steady_s),
        target="listed",
        locustfile=project / "scenarios" / "locustfile.py",
        arms=arms,
        timeout_s=3.0,
    )


def cut_one(
    starter: Starter, project: Path, disk: Path, how: str, moment: Callable[[Run], None], duration: str
) -> Cut:
    """Start a soak on that disk, cut it at the moment, look at what is left, resume it and look again."""
    scenario = soak_scenario(starter.folder, project)
    options = ("--duration", duration, "--users", "3", "--reports", disk / "reports")
    wrong: list[str] = []
    with starter.start("soak", scenario, *options, cwd=project, reports=disk / "reports", judge=False) as run:
        began = time.monotonic()
        moment(run)
        answered = answers(starter.folder)
        with suppress(subprocess.TimeoutExpired):
            run.popen.wait(HANDED_OVER_S)
        after_s, ended_before = time.monotonic() - began, run.popen.poll() is not None
        ballast = _cut(run, how, disk)
        code = run.end()
        wrong += [f"left: {each}" for each in run.leftovers.gone_after()[1]]
    doing = run.last_line if run.out.strip() else "nothing said yet"
    if ballast:
        ballast.unlink()
    if how != "kill -9" and not ended_before and code != 3:
        wrong.append(f"exit {code} instead of 3: {run.out[-400:]}")
    if "Traceback" in run.out:
        wrong.append(run.out)
    folders = [path for path in run.reports.glob("*/*") if path.is_dir() and not path.is_symlink()]
    if not folders or not (folders[0] / "experiment.ndjson").is_file():
        return Cut(
            how,
            after_s,
            doing,
            0,
            len(answered),
            "nothing recorded",
            (*wrong, *missing_answers(answered, set())),
        )
    folder = folders[0]
    finished = len(episodes(folder))
    wrong += missing_answers(answered, ended_requests(folder))
    outcome, more = resume(starter, project, folder)
    return Cut(how, after_s, doing, finished, len(answered), outcome, (*wrong, *more))


def _cut(run: Run, how: str, disk: Path) -> Path | None:
    if how == "a full disk":
        run.leftovers.note(run.popen.pid)
        return fill(disk)
    run.send(signal.SIGKILL if how == "kill -9" else signal.SIGTERM)
    return None


def resume(starter: Starter, project: Path, folder: Path) -> tuple[str, list[str]]:
    """Resume it. What came of that, and what was wrong with it."""
    before = {path.name: path.read_bytes() for path in folder.glob("*.ndjson")}
    was_finished = _how_it_ended(folder) == "done"
    with starter.start("resume", folder, cwd=project, judge=False, html=True) as run:
        code = run.end()
        wrong = [f"left after the resume: {each}" for each in run.leftovers.gone_after()[1]]
    if was_finished:
        return "was finished", wrong if code == 2 and "was finished" in run.out else [*wrong, run.out]
    summary = json.loads((folder / "summary.json").read_text()) if code in {0, 1, 3} else {}
    if summary.get("finished") != "done" or "Traceback" in run.out:
        wrong.append(f"the resume exited {code}: {run.out[-800:]}")
    wrong += [
        f"{name} was rewritten"
        for name, content in before.items()
        if not (folder / name).read_bytes().startswith(content)
    ]
    return "resumed", [*wrong, *_unplayed(folder)]


def _unplayed(folder: Path) -> Iterator[str]:
    """Every planned episode must be there, once."""
    plan = Plan.model_validate_json((folder / "plan.json").read_text(), strict=False)
    planned: dict[str, int] = defaultdict(int)
    for stretch in plan.episode_ranges:
        planned[stretch.phase.name] += stretch.count
    played = Counter(episodes(folder))
    for phase, count in planned.items():
        for n in range(count):
            if played[phase, n] != 1:
                yield f"episode {n} of {phase} was played {played[phase, n]} times"


def lines(folder: Path, files: str, kind: str) -> Iterator[dict[str, Any]]:
    """The records of a kind in all parts and segments; torn lines are none."""
    for path in sorted(folder.glob(files)):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                if record.get("k") == kind:
                    yield record


def episodes(folder: Path) -> list[tuple[object, object]]:
    """Those that were finished."""
    return [(each["phase"], each["n"]) for each in lines(folder, "experiment*.ndjson", "episode")]


def _how_it_ended(folder: Path) -> object:
    return next((each["how"] for each in lines(folder, "experiment.ndjson", "finish")), "cut off")


def ended_requests(folder: Path) -> set[tuple[str, str]]:
    return {(each["arm"], each["id"]) for each in lines(folder, "requests*.ndjson", "end")}


def answers(folder: Path) -> set[tuple[str, str]]:
    """What the service says that it has answered. Requests of ours that only try the service carry no such id."""
    found: set[tuple[str, str]] = set()
    for arm in ARMS:
        books = folder / f"answers-{arm}"
        for line in books.read_text().splitlines() if books.is_file() else ():
            name, _, outcome = line.partition(" ")
            if outcome == "fine" and name.startswith("Caller-"):
                found.add((arm, name))
    return found


def missing_answers(answered: set[tuple[str, str]], ended: set[tuple[str, str]]) -> list[str]:
    lost = sorted(map(str, answered - ended))
    return (
        [f"{len(lost)} answers of more than a second ago are not in the history: {lost[:3]}"] if lost else []
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--soaks", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lock", type=Path)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    cuts = []
    with tempfile.TemporaryDirectory(prefix="cut-soaks-") as made:
        project = make_project(Path(made) / "project")
        for number in chance.sample(range(asked.soaks), asked.soaks):  # so that some of them are of all kinds
            after_s = (number + chance.random()) * (asked.seconds + 8) / asked.soaks

            def moment(run: Run, after_s: float = after_s) -> None:
                with suppress(subprocess.TimeoutExpired):
                    run.popen.wait(max(0.1, after_s - HANDED_OVER_S))

            own = Path(made) / f"soak-{number}"
            own.mkdir()
            with _turn(asked.lock), small_disk(own) as disk:
                how = HOWS[number % len(HOWS)]
                cuts.append(cut_one(Starter(own), project, disk, how, moment, f"{asked.seconds}s"))
            print(cuts[-1], flush=True)
    good = sum(not cut.wrong for cut in cuts)
    resumed = Counter(cut.outcome for cut in cuts)
    print(f"{good} of {len(cuts)} lost nothing, went on to the end and left nothing behind: {dict(resumed)}")
    sys.exit(good < len(cuts))


@contextmanager
def _turn(lock: Path | None) -> Iterator[None]:
    with lock.open("a") if lock else nullcontext() as file:
        if file:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
