"""The short form of the table: what is done to the instrument makes no verdict, accuses no arm, and leaves nothing.

Whole it is played by `make sabotage`, which writes docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.sabotage import play
from tests.sabotage.cell import Line
from tests.sabotage.judge import Plan, wrongs
from tests.sabotage.play import Outcome, play_all, possible
from tests.sabotage.table import SHORT, TABLE

PLAN, ALLOWED_S = (
    Plan(wall_s=25.0, played_s=12.0),
    60.0,
)  # to find what never ends, also where others are at work

Outcomes = Mapping[Line, Future[Outcome]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """All lines of the short form, played two at once."""
    return dict(play_all(tmp_path_factory.mktemp("sabotage"), possible(SHORT)))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("line", SHORT, ids=lambda line: " + ".join(map(str, line)))
def test_nothing_wrong_passes(outcomes: Outcomes, line: Line) -> None:
    """Each part that fails is named by its doubt, whatever else fails in that run."""
    if outcomes.get(line) is None:
        pytest.skip("only root can mount a small file system")
    outcome = outcomes[line].result()
    assert not wrongs(line, outcome, PLAN, ALLOWED_S), f"{outcome}\n{outcome.said}"
    assert not outcome.missed


def test_a_missed_moment_is_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time in a folder of its own, until nothing was missed, and at most twice."""
    hit = Outcome(3, "unknown", frozenset(), False, 20.0, (), (), "")
    missed = replace(hit, missed=SHORT[0])
    for outcomes, counts in (([hit], hit), ([missed, missed, hit], hit), ([missed] * 3, missed)):
        own = tmp_path / str(len(list(tmp_path.iterdir())))
        own.mkdir()
        left = iter(outcomes)
        monkeypatch.setattr(play, "play", partial(_next_of, left))
        ((_, played),) = play.play_all(own, SHORT[:1])
        assert played.result() == counts
        assert next(left, None) is None
        assert len(list((own / "0").iterdir())) == len(outcomes)


def _next_of(outcomes: Iterator[Outcome], _folder: Path, _line: Line) -> Outcome:
    return next(outcomes)


def test_every_line_says_what_may_come_of_it() -> None:
    """And none is there twice."""
    cells = [cell for line in (*TABLE, *SHORT) for cell in line]
    assert all(cell.codes or cell.passes or cell.ends for cell in cells)
    assert len(set(TABLE)) == len(TABLE)
