"""`python -m tests.sabotage`: play the table and the shots, and write docs/reliability.md.

It takes an hour and a half on two quiet cores.

--only REGEX    the lines whose name it matches, such as 'Toxiproxy · killed · .*'; no shots
--no-shots      the table alone
--shots SHARE   the shots alone, such a share of them
--go-on         keep what was played before, and play what is missing
--at-once N     so many runs beside each other; default: one for each core
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain, islice, zip_longest
from pathlib import Path

from tests.sabotage.cell import Line, Moment, Part
from tests.sabotage.judge import Plan
from tests.sabotage.page import page
from tests.sabotage.play import play, play_all, possible
from tests.sabotage.results import Book, name, result
from tests.sabotage.shots import AIMS, Aim, Shot, moments, shoot
from tests.sabotage.table import CONTROL, TABLE
from tests.stack.runs import REPOSITORY

ALLOWED_S = 20.0  # beyond an undisturbed run
BOOK = Book(REPOSITORY / ".cache" / "sabotage.ndjson")
_FIRST = (Moment.PHASE, Moment.PAUSE, Moment.START_UP, Moment.REPORT)  # what tells most, if it is cut off
PAGE = REPOSITORY / "docs" / "reliability.md"
FILES = "\n## Files\n"


def main() -> int:
    """0 if nothing was wrong; the page is written in any case."""
    asked = _options().parse_args()
    # A shell that starts this in the background has it ignore Ctrl-C, and the runs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not asked.go_on:
        BOOK.path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        plan = _planned_before() or _planned(Path(folder))
        if asked.shots is None:
            lines = _lines(asked.only, asked.go_on)[: asked.at_most]
            _play_table(Path(folder) / "table", lines, plan, asked.at_once)
        if not (asked.only or asked.no_shots):
            aims = list(_aimed(asked.shots or 1.0, plan, len(list(BOOK.all("shot")))))
            _shoot(Path(folder) / "shots", aims[: asked.at_most], asked.at_once)
    PAGE.write_text(page(BOOK) + _on_files())
    wrong = [found for found in BOOK.results().values() if found.wrongs]
    return 1 if wrong or any(shot["wrongs"] or shot["left"] for shot in BOOK.all("shot")) else 0


def _on_files() -> str:
    """What the page says of files, which no run of this table has found out: it stays."""
    _, heading, rest = (PAGE.read_text() if PAGE.exists() else "").partition(FILES)
    return heading + rest


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m tests.sabotage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--only")
    options.add_argument("--no-shots", action="store_true")
    options.add_argument("--shots", type=float)
    options.add_argument("--go-on", action="store_true")
    options.add_argument("--at-most", type=int)
    options.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    return options


def _lines(only: str | None, go_on: bool) -> Sequence[Line]:
    done = BOOK.results() if go_on and not only else {}
    asked = [line for line in possible(TABLE) if name(line) not in done]
    lines = [line for line in asked if not only or re.fullmatch(only, name(line))]
    return sorted(lines, key=lambda line: _FIRST.index(line[0].moment))


def _planned_before() -> Plan | None:
    """As it was measured before, if this goes on with that."""
    return next((Plan(**each) for each in BOOK.all("plan")), None)


def _planned(folder: Path) -> Plan:
    """How long an undisturbed run takes here and now."""
    own = folder / "undisturbed"
    own.mkdir()
    folder.chmod(0o755)
    outcome = play(own, (CONTROL,))
    assert outcome.played_s, f"an undisturbed run did not get to its end:\n{outcome.said}"
    plan = Plan(outcome.wall_s, outcome.played_s)
    print(
        f"an undisturbed run: {outcome.verdict} {', '.join(outcome.codes)} in {outcome.wall_s:.1f} s",
        flush=True,
    )
    BOOK.add(plan=asdict(plan))
    return plan


def _play_table(folder: Path, lines: Sequence[Line], plan: Plan, at_once: int) -> None:
    folder.mkdir()
    for line, playing in play_all(folder, lines, at_once=at_once):
        found = result(line, playing.result(), plan, ALLOWED_S)
        BOOK.keep(found)
        verdict = "WRONG: " + ", ".join(found.wrongs) if found.wrongs else "ok"
        print(f"{found.line}: {found.verdict} {', '.join(found.codes)}: {verdict}", flush=True)


def _shoot(folder: Path, aims: Sequence[tuple[Aim, float]], at_once: int) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    with ThreadPoolExecutor(at_once, "shoot") as shooters:
        for shot in shooters.map(lambda each: _shot(folder, *each), aims):
            BOOK.add(shot=asdict(shot))
            said = (
                f"clean in {shot.clean_s:.1f} s {shot.wrongs or ''} {shot.left or ''}"
                if shot.hit
                else "missed"
            )
            print(f"{shot.aim} after {shot.after_s:.1f} s: {said}", flush=True)


def _aimed(share: float, plan: Plan, done: int) -> Iterator[tuple[Aim, float]]:
    """Every kind in turn, so that what is cut off has some of each; without those that were done before."""
    each = [
        [(aim, after_s) for after_s in moments(max(1, round(share * count)), _life_s(aim, plan), seed=number)]
        for number, (aim, count) in enumerate(AIMS.items())
    ]
    for one in each:
        random.Random(len(one)).shuffle(one)
    in_turn = chain.from_iterable(zip_longest(*each))
    return islice((shot for shot in in_turn if shot), done, None)


def _life_s(aim: Aim, plan: Plan) -> float:
    """How long an undisturbed run has what is shot at; of a child, from the start of the load on."""
    return plan.wall_s if aim.part is Part.HARNESS else plan.played_s


def _shot(folder: Path, aim: Aim, after_s: float) -> Shot:
    own = Path(tempfile.mkdtemp(dir=folder))
    own.chmod(0o755)
    return shoot(own, aim, after_s)


if __name__ == "__main__":
    sys.exit(main())
