"""What came of each line and of each shot, kept in a file: a long table can be played in several goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sabotage.cell import Line
from tests.sabotage.judge import Plan, wrongs
from tests.sabotage.play import Outcome


@dataclass(frozen=True)
class Result:
    """A line that was played. `beyond_s`: longer than an undisturbed run took here at that time."""

    line: str
    date: str
    exit_code: int | None
    verdict: str | None
    codes: Sequence[str]
    beyond_s: float
    left: Sequence[str]
    wrongs: Sequence[str]
    missed: bool


def result(line: Line, outcome: Outcome, plan: Plan, allowed_s: float) -> Result:
    """Judge it. `allowed_s`: how much longer than an undisturbed run it may take."""
    return Result(
        name(line),
        datetime.now(UTC).strftime("%Y-%m-%d"),
        outcome.exit_code,
        outcome.verdict,
        sorted(outcome.codes),
        round(plan.beyond_s(outcome), 1),
        outcome.left,
        [str(wrong) for wrong in wrongs(line, outcome, plan, allowed_s)],
        bool(outcome.missed),
    )


def name(line: Line) -> str:
    """What it is called in a file and on a command line."""
    return " + ".join(map(str, line))


@dataclass(frozen=True)
class Book:
    """The file. Of a line that was played again the newest result counts."""

    path: Path

    def add(self, **kept: object) -> None:
        """Of one kind, as its only key says."""
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(kept) + "\n")

    def keep(self, found: Result) -> None:
        self.add(result=asdict(found))

    def results(self) -> Mapping[str, Result]:
        return {each["line"]: Result(**each) for each in self.all("result")}

    def all(self, kind: str) -> Iterator[dict[str, Any]]:
        """Everything of a kind, in the order in which it was kept."""
        if self.path.is_file():
            for line in self.path.read_text().splitlines():
                kept = json.loads(line)
                if kind in kept:
                    yield kept[kind]
