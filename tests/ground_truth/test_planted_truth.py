"""Failures with a known cause, on three drivers: what the report says of each is what was planted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.ground_truth.comparison import Aspect, Judgement, Pair, Tally
from tests.ground_truth.page import page
from tests.ground_truth.scripts import HELD, MOMENTARY

from brokenpipe.measure.model.attribution import Relation

ATTRIBUTED = 0.99
AT_THE_EDGE = 0.15  # a busy machine takes longer to strike, and more steps end meanwhile

# Whoever plants nothing finds everything.
LEAST = 900
SILENT = {"after_a_kill", "after_a_black_hole", "no_fault"}  # phases in which no fault may be found


def test_no_failure_is_given_a_cause_that_it_did_not_have(tally: Tally) -> None:
    """Neither another class, nor another moment, tie, fault, strike or remedy than it was planted with."""
    assert not _told(tally.judged(Judgement.WRONG))


def test_nearly_every_failure_is_given_its_cause(tally: Tally) -> None:
    """At most one in a hundred is said to be not known."""
    missing = tally.judged(Judgement.MISSING)
    assert len(missing) <= (1 - ATTRIBUTED) * len(tally.pairs), _told(missing)


@pytest.mark.parametrize("play", [*MOMENTARY, *HELD], ids=lambda play: play.phase)
def test_every_phase_has_failures_of_every_driver(tally: Tally, play: object) -> None:
    """What a phase was made to provoke did happen, with asyncpg, psycopg and psycopg2."""
    phase = play.phase  # type: ignore[attr-defined]
    assert {pair.driver for pair in tally.pairs if pair.phase == phase} == {"asyncpg", "psycopg", "psycopg2"}


def test_enough_was_planted_of_everything(tally: Tally) -> None:
    """Every tie to a fault, every fault and every moment in which a request can be hit; few cases are left open."""
    assert len(tally.pairs) >= LEAST
    assert {pair.planted.tie for pair in tally.pairs} == set(Relation) - {Relation.UNKNOWN, Relation.SERVICE}
    assert len({pair.planted.fault for pair in tally.pairs} - {""}) == 10
    assert len({pair.planted.moment for pair in tally.pairs}) == 9  # all but the ping: these pools have none
    assert tally.at_the_edge <= AT_THE_EDGE * len(tally.pairs)


def test_no_fault_is_found_where_there_was_none(tally: Tally) -> None:
    """Right after a kill or a black hole, what fails fails by itself."""
    calm = [pair for pair in tally.pairs if pair.phase in SILENT]
    assert {pair.labels(Aspect.TIE)[1] for pair in calm} == {Relation.UNATTRIBUTED}


def test_the_page_shows_what_is_found(tally: Tally) -> None:
    """docs/planted-truth.md is made of the same tally: every aspect has its matrix, and off its diagonal is nothing."""
    text = page(tally)
    assert all(f"## {aspect}" in text for aspect in Aspect)
    if not tally.judged(Judgement.MISSING):
        assert not re.search(r"\| \*\*\d+\*\*", text)


def test_the_page_of_the_docs_is_of_these_phases(docs: Path) -> None:
    """Nobody has changed what is planted without writing docs/planted-truth.md again (`make truth`)."""
    text = (docs / "planted-truth.md").read_text()
    assert [
        play.phase for play in (*MOMENTARY, *HELD) if f"| {play.phase.replace('_', ' ')} |" not in text
    ] == []


def _told(pairs: object) -> list[str]:
    """A line for each kind of mistake."""
    counts: Counter[str] = Counter()
    for pair in pairs:  # type: ignore[attr-defined]
        counts.update(_line(pair, aspect) for aspect in Aspect if pair.judge(aspect) is not Judgement.RIGHT)
    return [f"{count} × {line}" for line, count in counts.most_common()]


def _line(pair: Pair, aspect: Aspect) -> str:
    planted, found = pair.labels(aspect)
    return f"{pair.phase}, {pair.driver}, {pair.told.script} in {pair.told.step!r}: {aspect}: {planted} → {found}"
