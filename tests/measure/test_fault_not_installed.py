"""Histories with a fault that no installed distribution has: nothing is guessed, and what is missing is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.measure.attribution_cases import PORT, cut, explained, fails, of, opened
from tests.measure.recorded import REFUSED, RESET, Recorded
from tests.measure.test_rest import calm_and_kill
from tests.unit.plans import KILL, STEADY, scenario
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

from brokenpipe.faults.unknown import UnknownStrike, unknown_fault
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.attribution import Relation
from brokenpipe.measure.run_metadata import recorded_plan

STRIKE = unknown_fault({"name": "blip", "away_ms": 100}, momentary=True)
HELD = unknown_fault({"name": "fog"}, momentary=False)
BLIPS = {"name": "blips", "fault": STRIKE, "episodes": 1, "every_s": 1.0}
SOURCES = {
    "blip": {"distribution": "brokenpipe-weather", "version": "3.1", "momentary": True},
    "fog": {"distribution": "brokenpipe-weather", "version": "3.1", "momentary": False},
}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """After two kills (at 5 and 6 s), a fault from elsewhere strikes at 7.5 s, and another is held from 9 to 11 s."""
    phases = (
        STEADY,
        KILL,
        BLIPS,
        {"name": "foggy", "fault": HELD, "seconds": 2},
    )
    with Recorded(tmp_path / "run", scenario(*phases)) as recorded:
        calm_and_kill(recorded)
        recorded.phase("blips", [(7, 8, 7.5)])
        recorded.act("plain", "inject", "blip", 7.5, "blips", 0)
        recorded.phase("foggy", [(9, 11, None)])
        recorded.act("plain", "inject", "fog", 9, "foggy")
        recorded.act("plain", "heal", "fog", 11, "foggy")
        yield recorded


def with_sources(run: Recorded, sources: Mapping[str, object]) -> None:
    path = run.folder / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "faults": sources}))


def test_the_plan_is_read_with_what_is_known_of_the_fault(run: Recorded) -> None:
    """Its name, its parameters, and whether it strikes or is held, of which its phase alone says nothing."""
    with_sources(run, SOURCES)
    strike, held = (phase.fault for phase in recorded_plan(run.folder).scenario.phases[2:])
    assert isinstance(strike, UnknownStrike)
    assert (str(strike), str(held)) == ("blip · away_ms 100", "fog · unknown")
    assert (strike.momentary, held and held.momentary) == (True, False)


def test_a_failure_after_an_unknown_fault_has_an_unknown_cause(run: Recorded) -> None:
    """A connection that was cut then is not the doing of the last known fault that cuts, although it could be."""
    opened(run, 1)
    cut(run, 7.503)
    fails(run, 7.49, RESET)
    ((_, cause),) = explained(run)
    assert (cause.relation, cause.fault) == (Relation.UNKNOWN, "")


def test_a_failure_without_any_record_may_be_of_the_unknown_fault(run: Recorded) -> None:
    """A refused connect, followed without a trace to a fault, is not said to have had none."""
    opened(run, 1, PORT + 7)
    fails(run, 9.5, REFUSED, where="connect")
    (cause,) = of(run)
    assert (cause.relation, cause.fault) == (Relation.UNKNOWN, "")


def test_a_failure_before_an_unknown_fault_is_attributed_as_ever(run: Recorded) -> None:
    """What is proven by then stays proven."""
    opened(run, 1)
    cut(run, 5.003)
    fails(run, 4.99, RESET)
    (cause,) = of(run)
    assert (cause.relation, cause.fault) == (Relation.DIRECT, "socket_kill")


def test_a_note_names_the_distribution_to_install(run: Recorded) -> None:
    """One for each phase; the verdict stands, because no count rests on the cause."""
    with_sources(run, SOURCES)
    notes = [each for each in run.measured().warnings if each.code == Code.FAULT_NOT_INSTALLED]
    why = "came from brokenpipe-weather 3.1, which is not installed here: which failures it caused cannot be told"
    assert [(note.phase, note.text) for note in notes] == [("blips", f"blip {why}"), ("foggy", f"fog {why}")]
    assert not any(note.unknown for note in notes)


def test_where_it_came_from_may_not_be_recorded(run: Recorded) -> None:
    """Then the note says that."""
    texts = [each.text for each in run.measured().warnings if each.code == Code.FAULT_NOT_INSTALLED]
    assert texts[0].startswith("blip is no fault of this version, and where it came from is not recorded")


def test_such_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    """What is left cannot be played without the fault: which it is, and what to do, in the message."""
    with Recorded(tmp_path / "cut_off", scenario(BLIPS)) as recorded:
        answer = brokenpipe("resume", str(recorded.folder))
    assert_answers_a_mistake(answer)
    assert "its fault blip is not installed here" in answer.said
