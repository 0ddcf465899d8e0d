"""What a doubt says and advises is what the history knows: nobody is blamed for what a fault or a wait did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning

HOLE = {"name": "hole", "fault": {"name": "black_hole"}, "seconds": 12}
CALM = STEADY | {"seconds": 12}
EVERY = [n / 4 for n in range(48)]


def _recorded(folder: Path, *phases: dict[str, Any]) -> Recorded:
    return Recorded(folder, scenario(*phases, arms=("plain",)))


def _database(run: Recorded, begin: int, *, each_s: int, first: int = 0) -> None:
    """What Postgres counted in twelve seconds; a database that does something is at work at each look."""
    for n in range(12):
        count = first + n * each_s
        run.gauge(records.PostgresGauge(run.at(begin + n), "plain", 2, 1, 1, 0, count, min(each_s, 1), 0))


def _doubt(run: Recorded, code: str) -> ValidityWarning | None:
    run.finish()
    found = [each for each in run.measured().warnings if each.code == code]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_database_that_nobody_can_reach_sees_nothing(tmp_path: Path) -> None:
    """In a silence a service that answers without its database does what it should: that is no doubt."""
    with _recorded(tmp_path / "run", CALM, HOLE) as run:
        run.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        run.phase("hole", [(n, n + 2, None) for n in range(20, 32, 2)])
        run.requests("plain", [*EVERY, *(20 + at for at in EVERY)])
        _database(run, 0, each_s=10)
        _database(run, 20, each_s=0, first=110)
        assert _doubt(run, "no_database_traffic") is None


def test_a_silence_hides_no_service_that_never_asked(tmp_path: Path) -> None:
    """If its database saw nothing in the calm phase either, it is doubted in both."""
    with _recorded(tmp_path / "run", CALM, HOLE) as run:
        run.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        run.phase("hole", [(n, n + 2, None) for n in range(20, 32, 2)])
        run.requests("plain", [*EVERY, *(20 + at for at in EVERY)])
        for begin in (0, 20):
            _database(run, begin, each_s=0)
        run.finish()
        doubted = {each.phase for each in run.measured().warnings if each.code == "no_database_traffic"}
    assert doubted == {"steady", "hole"}


def test_a_writer_that_gave_up(tmp_path: Path) -> None:
    """It wrote before the strikes and never after: something stopped; that there is a cache is not known."""
    with _recorded(tmp_path / "run", KILL, CALM) as run:
        run.phase("kill", [(0, 6, 3), (6, 12, 9)])
        run.phase("steady", [(n, n + 2, None) for n in range(20, 32, 2)])
        run.requests("plain", [*EVERY, *(20 + at for at in EVERY)])
        _database(run, 0, each_s=10)
        _database(run, 20, each_s=0, first=110)
        doubt = _doubt(run, "no_database_traffic")
    assert doubt is not None
    assert doubt.phase == "steady"
    assert "in the other phases it saw 110 transactions, so that something stopped asking it" in doubt.text
    assert "writer" in doubt.remedy
    assert "Let the requests reach" not in doubt.remedy


@pytest.mark.parametrize("waiting", [0, 2])
def test_a_phase_in_which_nobody_asked(tmp_path: Path, waiting: int) -> None:
    """Users who wait for answers of before ask nothing: the locustfile is looked at only if none of them did."""
    with _recorded(tmp_path / "run", KILL, STEADY) as run:
        run.phase("kill", [(0, 1, 0.5), (1, 2, 1.5)])
        run.phase("steady", [(5, 7, None), (7, 9, None)])
        run.requests("plain", [0.1, 1.1])
        for _ in range(waiting):
            run.request("plain", 1.6, 9_000, failure="timeout")
        run.requests("plain", [12])
        doubt = _doubt(run, "no_traffic")
    assert doubt is not None
    waited = "users still waited for the answers to 2 requests of before"
    assert (waited in doubt.text) is (waiting == 2)
    assert doubt.remedy.startswith("Users who still wait ask nothing: logs/target-ARM.log.")


def test_what_keeps_memory_is_not_known(tmp_path: Path) -> None:
    """That it grew is measured; whether the service, its server or a library keeps it is not, and nobody is accused."""
    with _recorded(tmp_path / "run", STEADY) as run:
        run.phase("steady", [(1, 3, None), (3, 5, None)])
        for at in range(0, 1800, 5):
            run.gauge(records.ProcessGauge(run.at(at), "target", "plain", 0.0, round((100 + at / 60) * 1e6)))
        doubt = _doubt(run, "memory_grew")
    assert doubt is not None
    assert "its code, its server or a library" in doubt.remedy


def test_waits_that_outlast_a_fault(tmp_path: Path) -> None:
    """A fault that is held for longer than users wait leaves them waiting: longer patience is no remedy for that."""
    with _recorded(tmp_path / "run", HOLE) as run:
        run.phase("hole", [(n, n + 2, None) for n in range(0, 12, 2)])
        run.requests("plain", [0.1])
        doubt_record = records.RecordedDoubt.of(
            Code.NOT_DRAINED, "requests were still under way", phase="hole"
        )
        run.experiment(doubt_record)
        doubt = _doubt(run, "not_drained")
    assert doubt is not None
    assert doubt.remedy.startswith("A fault that is held for longer than users wait")
    assert "Raise" not in doubt.remedy


def test_a_short_phase_says_that_it_was_not_checked(tmp_path: Path) -> None:
    """A stretch of two seconds may miss whatever a database did; a longer one beside it is checked."""
    short = {"name": "short", "seconds": 2}
    with _recorded(tmp_path / "run", CALM, short) as run:
        run.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        run.phase("short", [(20, 22, None)])
        run.requests("plain", [*EVERY, *(20 + at / 6 for at in EVERY)])
        _database(run, 0, each_s=10)
        _database(run, 20, each_s=0, first=110)
        run.finish()
        found = run.measured()
    said = [note for note in found.notes if "asked their databases" in note]
    assert said == [
        "Too short to tell whether services asked their databases, which takes 3 s between two looks: short."
    ]


def test_a_history_without_looks_at_databases_says_nothing(tmp_path: Path) -> None:
    """Of before they were looked at: that its phases were too short is not known."""
    with _recorded(tmp_path / "run", CALM) as run:
        run.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        run.requests("plain", EVERY)
        run.finish()
        found = run.measured()
    assert not [note for note in found.notes if "asked their databases" in note]
