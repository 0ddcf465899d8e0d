"""Signals at random moments of a run: how long it takes until everything is gone, and what is left.

The moments are spread over the life of what is shot at: each falls at random into one of as many equal stretches as
there are shots.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.sabotage.cell import Act, Cell, Moment, Part
from tests.sabotage.judge import AMBIENT
from tests.sabotage.parts import processes
from tests.sabotage.play import HUNG_S, LOOK_S, clear, edges, summary
from tests.sabotage.scenario import lay_out
from tests.stack.runs import Run, Starter

EARLIEST_S = 0.1
ENDED = ("cut", "end")  # from then on a part that ends spoils nothing


@dataclass(frozen=True)
class Aim:
    """Who is shot at with what, and the exit codes that a run may have after that."""

    part: Part
    number: int
    exit_codes: frozenset[int]

    def __str__(self) -> str:
        return f"{signal.Signals(self.number).name} to {self.part}"


AIMS: dict[Aim, int] = {
    Aim(Part.HARNESS, signal.SIGKILL, frozenset({-signal.SIGKILL})): 50,
    Aim(Part.HARNESS, signal.SIGTERM, frozenset({3})): 20,
    Aim(Part.HARNESS, signal.SIGINT, frozenset({130})): 20,
    **{
        Aim(part, signal.SIGKILL, frozenset({3, 4})): 20
        for part in (Part.LOAD, Part.TOXIPROXY, Part.POSTMASTER, Part.SERVICE, Part.JANITOR)
    },
}
"""How often each."""


@dataclass(frozen=True)
class Shot:
    """What came of one. `clean_s`: from the shot at the harness, or from the end of the run, until nothing was left."""

    aim: str
    after_s: float
    exit_code: int | None
    ended_s: float
    clean_s: float
    left: Sequence[str]
    wrongs: Sequence[str]
    hit: bool = True


def moments(aims: int, life_s: float, seed: int) -> Iterator[float]:
    """So many, the first ones early and the last ones late."""
    chance, stretch_s = random.Random(seed), (life_s - EARLIEST_S) / aims
    for number in range(aims):
        yield EARLIEST_S + (number + chance.random()) * stretch_s


def shoot(folder: Path, aim: Aim, after_s: float) -> Shot:
    """One run, and a shot so long after its target is there. It may be that the run has ended by then."""
    project, scenario = lay_out(folder, [Cell(aim.part, Act.KILLED, Moment.PHASE)])
    command = ("run", scenario, "--reports", folder / "reports")
    with Starter(folder).start(*command, cwd=project, judge=False) as run:
        while run.popen.poll() is None and not processes(run, aim.part):
            time.sleep(LOOK_S)
        with suppress(subprocess.TimeoutExpired):
            run.popen.wait(after_s)
        spoilt = ENDED not in edges(run)
        run.leftovers.note(run.popen.pid)
        if not _hit(run, aim):
            run.send(signal.SIGKILL)
            run.popen.wait()
            run.leftovers.gone_after()
            return Shot(str(aim), after_s, None, 0.0, 0.0, (), (), hit=False)
        hit_at = time.monotonic()
        exit_code = _end(run)
        ended_s = time.monotonic() - hit_at
        _, left = run.leftovers.gone_after()
        clean_s = time.monotonic() - hit_at - (0.0 if aim.part is Part.HARNESS else ended_s)
        clear(run)
        return Shot(
            str(aim), after_s, exit_code, ended_s, clean_s, left, _wrongs(run, aim, exit_code, spoilt)
        )


def _hit(run: Run, aim: Aim) -> bool:
    struck = processes(run, aim.part) if run.popen.poll() is None else []
    for process in struck:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(aim.number)
    return bool(struck)


def _end(run: Run) -> int | None:
    with suppress(subprocess.TimeoutExpired):
        return run.popen.wait(HUNG_S)
    run.send(signal.SIGKILL)
    run.popen.wait()
    return None


def _wrongs(run: Run, aim: Aim, exit_code: int | None, spoilt: bool) -> list[str]:
    found, harmless = summary(run), aim.part is Part.JANITOR or not spoilt
    codes = {warning["code"] for warning in found.get("warnings", ()) if warning["unknown"]} - AMBIENT
    broken = any(check["value"] for check in found.get("checks", ()))
    allowed = aim.exit_codes | ({0, 3, 4} if harmless else set())
    looks = {
        "exit code": exit_code not in allowed,
        "wrong accusation": found.get("verdict") == "fail" or (exit_code == 3 and broken and not codes),
        "wrong pass": found.get("verdict") == "pass" and not harmless,
        "traceback": "Traceback" in run.out,
    }
    return [wrong for wrong, there in looks.items() if there]
