"""The short form of the table: what is done to the instrument makes no verdict, accuses no arm, and leaves nothing.

Whole it is played by `make sabotage`, which writes docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import pytest
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


def test_every_line_says_what_may_come_of_it() -> None:
    """And none is there twice."""
    cells = [cell for line in TABLE for cell in line]
    assert all(cell.codes or cell.passes or cell.ends for cell in cells)
    assert len(set(TABLE)) == len(TABLE)
