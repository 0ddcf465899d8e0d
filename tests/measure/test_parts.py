"""An experiment that was cut off and resumed: its parts are read as one, whatever the clocks did in between."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, scenario
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

from brokenpipe.errors import ReportError
from brokenpipe.history import records
from brokenpipe.history.reader import open_history
from brokenpipe.history.resume import GAP_NS
from brokenpipe.measure.pipeline import measure
from brokenpipe.measure.resume_state import read_resume_state
from brokenpipe.plan.sequential import EpisodeRange, remaining_ranges
from brokenpipe.plan.soak_rounds import soak_ranges

SCENARIO = scenario(STEADY, KILL)
GAP_S = GAP_NS / 1e9


def _first_part(folder: Path) -> None:
    """Two of two blocks, then one of two strikes; the second was cut off."""
    with Recorded(folder, SCENARIO) as run:
        run.phase("steady", [(1, 3, None), (3, 5, None)])
        run.requests("plain", [1.5, 2.5, 3.5])
        run.experiment(records.PhaseEdge(t=run.at(6), name="kill", edge="begin"))
        run.experiment(
            records.Episode(phase="kill", n=0, t0=run.at(6), t1=run.at(7), strike=run.at(6.5), counts=True)
        )
        run.request("plain", 6.5, errors=[error("statement", RESET)])
        run.request("plain", 6.9, ms=None, key="cut-off")
        run.request("plain", 6.8, key="gone")
        run.ledger("plain", {"gone": 1})
        run.gauge(records.ProcessGauge(run.at(6), "load", None, cpu_s=50.0, rss_bytes=1))
        run.gauge(records.ClockReading(run.at(7), wall_ns=run.base + 7_000_000_000, boot_ns=None))


def _second_part(folder: Path, offset_s: float) -> None:
    """The strike that was left, on a clock that stands `offset_s` from the first one's, in files of its own."""
    apart = folder / "apart"
    with Recorded(apart, SCENARIO) as run:
        run.experiment(records.Resumed(t=run.at(0), part=2, command="brokenpipe resume"))
        run.experiment(records.PhaseEdge(t=run.at(2), name="kill", edge="begin"))
        run.experiment(
            records.Episode(phase="kill", n=1, t0=run.at(2), t1=run.at(3), strike=run.at(2.5), counts=True)
        )
        run.experiment(records.PhaseEdge(t=run.at(3), name="kill", edge="end"))
        run.request("plain", 2.2)
        run.request("plain", 2.6, errors=[error("statement", RESET)])
        run.request("plain", 2.7, key="kept")
        run.ledger("plain", {"kept": 1})
        run.gauge(records.ProcessGauge(run.at(2), "load", None, cpu_s=1.0, rss_bytes=1))
        run.gauge(records.ProcessGauge(run.at(3), "load", None, cpu_s=1.2, rss_bytes=1))
        run.gauge(records.ClockReading(run.at(2), wall_ns=run.base + 3_600 * 10**9, boot_ns=None))
        run.gauge(records.ClockReading(run.at(3), wall_ns=run.base + 3_601 * 10**9, boot_ns=None))
        run.finish(at=4)
    by = round(offset_s * 1e9)

    def moved(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) + by}"

    for path in apart.glob("*.ndjson"):
        text = re.sub(r'("(?:t|t0|t1|strike)": ?)(-?\d+)', moved, path.read_text(encoding="utf-8"))
        (folder / path.name.replace(".ndjson", ".r2.ndjson")).write_text(text, encoding="utf-8")


@pytest.fixture(params=[0.0, 3_600.0, -20.0], ids=["at once", "an hour later", "after a reboot"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Resumed at once, much later, or on a machine whose monotonic clock began anew."""
    _first_part(tmp_path)
    _second_part(tmp_path, request.param)
    return tmp_path


def test_all_parts_count_as_one(folder: Path) -> None:
    """Every finished episode and request of both; what the cut left without an answer is nobody's failure."""
    found = measure(folder)
    assert found.finished == "done"
    assert found.cell("plain", "steady").requests == 3
    kill = found.cell("plain", "kill")
    assert (kill.episodes, kill.requests, kill.broken) == (2, 5, 2)


def test_the_parts_follow_each_other(folder: Path) -> None:
    """On one axis, five seconds apart: a stretch that was cut off ends where the next part begins."""
    found = measure(folder)
    (kill,) = (phase for phase in found.phases if phase.name == "kill")
    (first, cut), (again, end) = kill.stretches_s
    assert first == pytest.approx(6, abs=0.01)
    assert cut == pytest.approx(7 + GAP_S, abs=0.2)
    assert (again - cut, end - cut) == (pytest.approx(2, abs=0.1), pytest.approx(3, abs=0.1))


def test_nothing_is_doubted_for_the_time_in_between(folder: Path) -> None:
    """Neither do clocks jump between parts, nor does a processor run backwards; that it was resumed is noted."""
    found = measure(folder)
    assert not {"clock_jumped", "machine_suspended", "generator_saturated"} & {
        each.code for each in found.warnings
    }
    (load,) = found.health.processes
    assert load.mean_cores == pytest.approx(0.2)
    (note,) = (each for each in found.warnings if each.code == "resumed")
    assert not note.unknown
    assert note.text.startswith("cut off after 7")
    assert "1 writes acknowledged before" in note.text


def test_the_ledger_is_that_of_the_last_database(folder: Path) -> None:
    """A write of the first part is not in it, and is not lost for that."""
    books = measure(folder).ledger["plain"]
    assert not books.unread
    assert (books.total.acknowledged, books.total.lost, books.never_asked_for) == (1, 0, 0)


def test_files_are_never_rewritten(folder: Path) -> None:
    """Reading moves times in copies, and the copies are gone afterwards."""
    before = {path: path.read_bytes() for path in folder.glob("*.ndjson")}
    with open_history(folder) as history:
        assert history.one("SELECT count(*) FROM resumptions") == (1,)
    assert {path: path.read_bytes() for path in folder.glob("*.ndjson")} == before


# --- what is left -----------------------------------------------------------------------------------------


def test_what_is_left_of_a_run(tmp_path: Path) -> None:
    """Whole phases, and of the one that was cut off the episodes that were not finished."""
    _first_part(tmp_path)
    found = read_resume_state(tmp_path)
    assert (found.part, found.ended, found.played) == (2, "cut off", {"steady": 2, "kill": 1})
    assert found.remaining == (EpisodeRange(SCENARIO.phase("kill"), 1, 1),)


def test_what_is_left_after_all_parts(tmp_path: Path) -> None:
    """Nothing; and a part that was cut off has no end, whatever the part before it said."""
    _first_part(tmp_path)
    _second_part(tmp_path, 60.0)
    found = read_resume_state(tmp_path)
    assert (found.part, found.ended, found.remaining) == (3, "done", ())
    again = tmp_path / "experiment.r3.ndjson"
    clock = {"k": "clock", "t": 1, "wall_ns": 1, "pid": 1, "writer": "experiment"}
    again.write_text(
        "".join(json.dumps(line) + "\n" for line in (clock, {"k": "resumed", "t": 2, "part": 3}))
    )
    assert read_resume_state(tmp_path).ended == "cut off"


def test_what_is_left_of_a_soak() -> None:
    """Each stretch of a round begins where the phase's finished episodes end, whichever round they were in."""
    planned = soak_ranges(SCENARIO, 200.0)
    total = {
        name: sum(each.count for each in planned if each.phase.name == name) for name in ("steady", "kill")
    }
    left = remaining_ranges(planned, {"steady": 3, "kill": 0})
    mine = [each for each in left if each.phase.name == "steady"]
    assert (mine[0].first, mine[0].count) == (3, 1)
    assert sum(each.count for each in left) == sum(total.values()) - 3
    assert remaining_ranges(planned, total) == ()
    assert remaining_ranges(planned, {}) == planned


def test_arms_that_take_turns_finish_an_episode_together(tmp_path: Path) -> None:
    """A round in which one arm had its turn and the other had not is played again, and counts once."""
    plan = scenario(STEADY).model_copy(update={"isolate": True})
    with Recorded(tmp_path, plan) as run:
        run.experiment(records.PhaseEdge(t=run.at(1), name="steady", edge="begin"))
        for n, arm, at in (
            (0, "plain", 1),
            (0, "pre_ping", 3),
            (1, "pre_ping", 5),
            (1, "pre_ping", 7),
            (1, "plain", 9),
        ):
            run.experiment(
                records.Episode("steady", n, run.at(at), run.at(at + 2), strike=None, counts=True, arm=arm)
            )
            run.request(arm, at + 1)
        run.experiment(records.Resumed(t=run.at(7), part=2, command="brokenpipe resume"))
    assert read_resume_state(tmp_path).played == {"steady": 2}
    assert measure(tmp_path).cell("pre_ping", "steady").requests == 2


def test_a_folder_that_is_no_report(tmp_path: Path) -> None:
    """It says so, and which folders are."""
    with pytest.raises(ReportError, match=r"no experiment\.ndjson"):
        read_resume_state(tmp_path)


def test_an_engine_is_for_what_had_containers(tmp_path: Path) -> None:
    """A run of the local stack goes on without Docker, whatever engine is named."""
    _first_part(tmp_path)
    answer = brokenpipe("resume", str(tmp_path), "--engine", "unix:///var/run/docker.sock")
    assert_answers_a_mistake(answer)
    assert "had no containers" in answer.said
