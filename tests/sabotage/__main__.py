"""`python -m tests.sabotage`: play the table and the shots, and write docs/reliability.md. It takes an hour.

--only REGEX    the lines whose name it matches, such as 'Toxiproxy · killed · .*'; no shots
--no-shots      the table alone
--shots SHARE   the shots alone, such a share of them
--go-on         keep what was played before, and play what is missing
--at-once N     so many runs beside each other; default: one for each core
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from tests.sabotage.cell import Line
from tests.sabotage.page import page
from tests.sabotage.play import play, play_all, possible
from tests.sabotage.results import Book, name, result
from tests.sabotage.shots import AIMS, Aim, Shot, moments, shoot
from tests.sabotage.table import CONTROL, TABLE
from tests.stack.runs import REPOSITORY

ALLOWED_S = 20.0  # beyond an undisturbed run
BOOK = Book(REPOSITORY / ".cache" / "sabotage.ndjson")
PAGE = REPOSITORY / "docs" / "reliability.md"


def main() -> int:
    """0 if nothing was wrong; the page is written in any case."""
    asked = _options().parse_args()
    if not asked.go_on:
        BOOK.path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        undisturbed_s = _undisturbed_s(Path(folder))
        if asked.shots is None:
            _play_table(Path(folder) / "table", _lines(asked.only, asked.go_on), undisturbed_s, asked.at_once)
        if not (asked.only or asked.no_shots):
            _shoot(Path(folder) / "shots", asked.shots or 1.0, undisturbed_s, asked.at_once)
    PAGE.write_text(page(BOOK))
    wrong = [found for found in BOOK.results().values() if found.wrongs]
    return 1 if wrong or any(shot["wrongs"] or shot["left"] for shot in BOOK.all("shot")) else 0


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
    options.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    return options


def _lines(only: str | None, go_on: bool) -> Sequence[Line]:
    done = BOOK.results() if go_on and not only else {}
    return [
        line
        for line in possible(TABLE)
        if name(line) not in done and (not only or re.fullmatch(only, name(line)))
    ]


def _undisturbed_s(folder: Path) -> float:
    """How long a run takes here and now. It must pass, or no other would tell anything."""
    own = folder / "undisturbed"
    own.mkdir()
    folder.chmod(0o755)
    outcome = play(own, (CONTROL,))
    print(f"an undisturbed run: {outcome.verdict} in {outcome.wall_s:.1f} s", flush=True)
    BOOK.add(
        undisturbed={"verdict": outcome.verdict, "codes": sorted(outcome.codes), "wall_s": outcome.wall_s}
    )
    return outcome.wall_s


def _play_table(folder: Path, lines: Sequence[Line], undisturbed_s: float, at_once: int) -> None:
    folder.mkdir()
    for line, playing in play_all(folder, lines, at_once=at_once):
        found = result(line, playing.result(), undisturbed_s, ALLOWED_S)
        BOOK.keep(found)
        verdict = "WRONG: " + ", ".join(found.wrongs) if found.wrongs else "ok"
        print(f"{found.line}: {found.verdict} {', '.join(found.codes)}: {verdict}", flush=True)


def _shoot(folder: Path, share: float, whole_run_s: float, at_once: int) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    with ThreadPoolExecutor(at_once, "shoot") as shooters:
        for shot in shooters.map(lambda each: _shot(folder, *each), _aimed(share, whole_run_s)):
            if shot:
                BOOK.add(shot=asdict(shot))
                said = f"clean in {shot.clean_s:.1f} s {shot.wrongs or ''} {shot.left or ''}"
                print(f"{shot.aim} after {shot.after_s:.1f} s: {said}", flush=True)


def _aimed(share: float, whole_run_s: float) -> Iterator[tuple[Aim, float]]:
    """Every kind in turn, so that what is cut off has some of each."""
    counts = {aim: max(1, round(share * count)) for aim, count in AIMS.items()}
    return chain.from_iterable(
        ((aim, after_s) for after_s in moments(count, whole_run_s, seed=number))
        for number, (aim, count) in enumerate(counts.items())
    )


def _shot(folder: Path, aim: Aim, after_s: float) -> Shot | None:
    own = Path(tempfile.mkdtemp(dir=folder))
    own.chmod(0o755)
    return shoot(own, aim, after_s)


if __name__ == "__main__":
    sys.exit(main())
