"""A run of the smallest scenario in which something of the instrument fails, and what came of it.

Two arms that are the same and have nothing wrong: whatever fails an arm here is not its own. Undisturbed it passes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.sabotage.acts import BALLAST, strike, there
from tests.sabotage.cell import Act, Cell, Line, Moment, Part
from tests.sabotage.scenario import lay_out, options
from tests.stack.runs import BROKENPIPE, REPOSITORY, Run, Starter

from brokenpipe.stack.processes.janitor import remove

INTO_PHASE_S = 0.7
INTO_START_UP_S = 0.2
STOPPED_HARNESS_S = 8.0  # until it is killed: nothing else can end it
HUNG_S = 150.0  # until nobody waits for its end any longer
LOOK_S = 0.05
MISSED_AGAIN = 2
NOTE_S = 0.5
SIZES = {Part.REPORTS: "8m", Part.SCRATCH: "150m"}  # of a disk that is to be full


@dataclass(frozen=True)
class Outcome:
    """What came of a run. `codes`: the doubts for which its verdict is unknown. `missed`: what could not be done.

    `violated`: a bound was not kept, whatever the verdict is: without its doubts the run would have failed.
    `played_s`: from the first phase to the end of all that was started, which takes a busy machine no longer than a
    quiet one; None if the run did not get there.
    """

    exit_code: int | None  # None: it had to be killed
    verdict: str | None  # None: there is none
    codes: frozenset[str]
    violated: bool
    wall_s: float
    left: tuple[str, ...]
    missed: tuple[Cell, ...]
    said: str
    played_s: float | None = None


def possible(lines: Sequence[Line]) -> Sequence[Line]:
    """Those that can be played here: a small file system takes root."""
    return [line for line in lines if os.geteuid() == 0 or not any(cell.act is Act.FULL for cell in line)]


def play_all(
    folder: Path, lines: Iterable[Line], *, at_once: int = 2
) -> Iterator[tuple[Line, Future[Outcome]]]:
    """Each line in a folder of its own in this one, so many at once."""
    folder.chmod(0o755)  # Postgres may run as another user
    with ThreadPoolExecutor(at_once, "play") as players:
        playing = [(line, players.submit(_play_in, folder / str(n), line)) for n, line in enumerate(lines)]
        yield from playing


def _play_in(folder: Path, line: Line) -> Outcome:
    """Once more, and at most twice, where the moment of a cell was missed: on a busy machine it is over soon."""
    for n in range(1 + MISSED_AGAIN):
        own = folder / str(n)
        own.mkdir(parents=True)
        outcome = play(own, line)
        if not outcome.missed:
            break
    return outcome


def play(folder: Path, cells: Sequence[Cell]) -> Outcome:
    """One run with all of that done to it, in a folder that must exist and be empty."""
    project, scenario = lay_out(folder, cells)
    with _disks(folder, cells) as disks:
        reports = folder / "reports"
        command: tuple[str | Path, ...] = ("run", scenario, "--reports", reports, *options(cells))
        with Starter(folder).start(*command, cwd=project, judge=False) as run:
            exit_code, wall_s, missed = _sabotaged(run, cells, disks | {Part.LOAD_WORKER: scenario.parent})
            for disk in disks.values():
                (disk / BALLAST).unlink(missing_ok=True)
            _, left = run.leftovers.gone_after()
            clear(run)
        return _outcome(run, exit_code, wall_s, tuple(left), missed)


def _sabotaged(
    run: Run, cells: Sequence[Cell], disks: dict[Part, Path]
) -> tuple[int | None, float, tuple[Cell, ...]]:
    started = time.monotonic()
    saboteurs = [_Saboteur(run, cell, disks.get(cell.part, run.reports)) for cell in cells]
    for each in saboteurs:
        each.start()
    exit_code = _end(run, cells)
    wall_s = time.monotonic() - started
    for each in saboteurs:
        each.join()
    return exit_code, wall_s, tuple(each.cell for each in saboteurs if not each.done)


class _Saboteur(threading.Thread):
    """Waits for the moment of a cell, and does what it says."""

    def __init__(self, run: Run, cell: Cell, place: Path) -> None:
        super().__init__(name=str(cell))
        self.cell = cell
        self.done = cell.act is Act.NOTHING
        self._run, self._place = run, place

    def run(self) -> None:
        if self.done:
            return
        moment = self.cell.moment
        while not (_come(edged := edges(self._run), moment) and there(self._run, self.cell.part)):
            if self._run.popen.poll() is not None or _ENDS[moment] in edged:
                return
            time.sleep(LOOK_S)
        time.sleep(_WAITS.get(moment, 0.0))
        if _ENDS[moment] not in edges(self._run):
            with suppress(psutil.NoSuchProcess):
                self.done = strike(self._run, self.cell, self._place)


_WAITS = {Moment.PHASE: INTO_PHASE_S, Moment.START_UP: INTO_START_UP_S}
_BEGINS = {Moment.PHASE: ("calm", "begin"), Moment.PAUSE: ("calm", "end"), Moment.REPORT: ("cut", "end")}
_ENDS: Mapping[Moment, tuple[str, str] | None] = {  # from when on it is too late
    Moment.START_UP: ("calm", "begin"),
    Moment.PHASE: ("calm", "end"),
    Moment.PAUSE: ("cut", "begin"),
    Moment.REPORT: None,
}


def _come(edged: set[tuple[str, str]], moment: Moment) -> bool:
    """Whether it is time, or past it."""
    return moment not in _BEGINS or _BEGINS[moment] in edged


def edges(run: Run) -> set[tuple[str, str]]:
    """The edges of phases that it has written down."""
    with suppress(OSError, ValueError):
        return {(edge["name"], edge["edge"]) for edge in run.history("experiment.ndjson", "phase")}
    return set()


def _end(run: Run, cells: Sequence[Cell]) -> int | None:
    """Its exit code. A harness that stands still is killed; so is one that does not come to an end."""
    stopped = any(cell.part is Part.HARNESS and cell.act is Act.STOPPED for cell in cells)
    began = time.monotonic()
    still_since: float | None = None
    while (code := run.popen.poll()) is None:
        now = time.monotonic()
        if stopped and psutil.Process(run.popen.pid).status() == psutil.STATUS_STOPPED:
            still_since = still_since or now
        still = still_since is not None and now - still_since > STOPPED_HARNESS_S
        if still or now - began > HUNG_S:
            run.send(signal.SIGKILL)
            run.popen.wait()
            return -signal.SIGKILL if still else None
        run.leftovers.note(run.popen.pid)
        time.sleep(NOTE_S)
    return code


def clear(run: Run) -> None:
    """What was left has been counted; it shall not be in the way of others."""
    for process in run.leftovers.processes():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for folder in run.leftovers.tmp.iterdir():
        remove(folder)


@contextmanager
def _disks(folder: Path, cells: Sequence[Cell]) -> Iterator[dict[Part, Path]]:
    """Small file systems in the places that are to be full. Takes root."""
    places = {Part.REPORTS: folder / "reports", Part.SCRATCH: folder / "tmp"}
    made: dict[Part, Path] = {}
    with ExitStack() as mounted:
        for cell in cells:
            if cell.act is Act.FULL:
                place = made[cell.part] = places[cell.part]
                place.mkdir()
                mount = (
                    "mount",
                    "-t",
                    "tmpfs",
                    "-o",
                    f"size={SIZES[cell.part]},mode=755",
                    "small",
                    str(place),
                )
                subprocess.run(mount, check=True, capture_output=True)
                mounted.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
        yield made


def _outcome(
    run: Run, exit_code: int | None, wall_s: float, left: tuple[str, ...], missed: tuple[Cell, ...]
) -> Outcome:
    said = run.out
    if exit_code == -signal.SIGKILL:
        said += _reported(run)
    found = summary(run)
    codes = {warning["code"] for warning in found.get("warnings", ()) if warning["unknown"]}
    violated = any(check["value"] for check in found.get("checks", ()))  # each of them expects none
    return Outcome(
        exit_code,
        found.get("verdict"),
        frozenset(codes),
        violated,
        wall_s,
        left,
        missed,
        said,
        _played_s(run),
    )


def _played_s(run: Run) -> float | None:
    with suppress(OSError, ValueError):
        begun = [edge["t"] for edge in run.history("experiment.ndjson", "phase") if edge["edge"] == "begin"]
        ended = [finish["t"] for finish in run.history("experiment.ndjson", "finish")]
        if begun and ended:
            return float(ended[-1] - begun[0]) / 1e9
    return None


def summary(run: Run) -> dict[str, Any]:
    """Its summary.json; empty if there is none."""
    with suppress(OSError, ValueError):
        return run.summary
    return {}


def _reported(run: Run) -> str:
    """What `brokenpipe report` says of a run that was killed, if it has recorded anything."""
    with suppress(ValueError):
        command = [*BROKENPIPE, "report", str(run.folder)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr
    return ""
