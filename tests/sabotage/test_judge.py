"""What counts as wrong: a table that calls everything right would show nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sabotage.cell import Act, Cell, Moment, Part
from tests.sabotage.judge import Plan, Wrong, wrongs
from tests.sabotage.play import Outcome

STOPPED = Cell(Part.LOAD, Act.STOPPED, Moment.PHASE, frozenset({"load_stopped"}))
KILLED = Cell(Part.LOAD, Act.KILLED, Moment.PHASE, ends=True)
HARMLESS = Cell(Part.JANITOR, Act.CONTINUED, Moment.PHASE, passes=True)
PASS = Outcome(0, "pass", frozenset(), False, 20.0, (), (), "")
UNKNOWN = replace(PASS, exit_code=3, verdict="unknown", codes=frozenset({"load_stopped"}))
PLAN = Plan(wall_s=20.0, played_s=12.0)
BUSY = frozenset({"machine_saturated"})
ENDED = replace(UNKNOWN, exit_code=4, codes=frozenset())


@pytest.mark.parametrize(
    ("cell", "outcome"),
    [(STOPPED, UNKNOWN), (KILLED, ENDED), (HARMLESS, PASS), (HARMLESS, replace(UNKNOWN, codes=BUSY))],
)
def test_what_is_right(cell: Cell, outcome: Outcome) -> None:
    """The doubt that names it; an end where it may end; a pass where it did nothing."""
    assert wrongs([cell], outcome, PLAN, 20.0) == []


@pytest.mark.parametrize(
    ("cell", "outcome", "wrong"),
    [
        (STOPPED, PASS, Wrong.PASS),
        (STOPPED, replace(UNKNOWN, codes=BUSY), Wrong.PASS),  # on a quiet machine it would have passed
        (STOPPED, replace(UNKNOWN, codes=BUSY, violated=True), Wrong.ACCUSATION),
        (HARMLESS, replace(PASS, exit_code=1, verdict="fail", violated=True), Wrong.ACCUSATION),
        (STOPPED, replace(UNKNOWN, exit_code=2), Wrong.ACCUSATION),  # of the locustfile
        (STOPPED, replace(UNKNOWN, codes=frozenset({"no_traffic"})), Wrong.UNNAMED),
        (STOPPED, ENDED, Wrong.EXIT),
        (STOPPED, replace(UNKNOWN, played_s=33.0), Wrong.HANG),
        (KILLED, replace(ENDED, wall_s=41.0), Wrong.HANG),
        (KILLED, replace(ENDED, exit_code=None), Wrong.HANG),
        (STOPPED, replace(UNKNOWN, left=("process 7",)), Wrong.LEFT),
        (STOPPED, replace(UNKNOWN, said="Traceback (most recent call last)"), Wrong.TRACEBACK),
    ],
)
def test_what_is_wrong(cell: Cell, outcome: Outcome, wrong: Wrong) -> None:
    """Each in its own way, whatever else is right."""
    assert wrong in wrongs([cell], outcome, PLAN, 20.0)


def test_each_of_two_has_to_be_named() -> None:
    """What fails second is not covered by the doubt of the first."""
    died = Cell(Part.TOXIPROXY, Act.KILLED, Moment.PAUSE, frozenset({"toxiproxy_died"}))
    assert wrongs([STOPPED, died], UNKNOWN, PLAN, 20.0) == [Wrong.UNNAMED]


def test_a_report_that_takes_long_is_no_hang() -> None:
    """A machine at work makes everything slow that is no waiting."""
    assert wrongs([STOPPED], replace(UNKNOWN, wall_s=90.0, played_s=13.0), PLAN, 20.0) == []
