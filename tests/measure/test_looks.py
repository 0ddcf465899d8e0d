"""Looks planned before a run: after how many episodes a phase is judged, and what that does to its intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, TARGET, scenario

from brokenpipe.errors import UsageError
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.stats.intervals import rate_interval
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.sequential import analysis_points, interim_analyses, next_ranges, worst_case_s
from brokenpipe.report.charts import draw_timelines

RATE = {"arm": "plain", "phase": "kill", "metric": "broken_pipe_rate", "above": 0.0}
COUNT = {"arm": "*", "phase": "steady", "metric": "failed", "equals": 0}


def _scenario(*expect: dict[str, object]) -> Scenario:
    return scenario(STEADY, KILL, expect=expect)  # two blocks, two strikes


@pytest.mark.parametrize(
    ("count", "at_most", "looks"),
    [
        (12, 48, (12, 24, 48)),
        (12, 30, (12, 24, 30)),
        (12, 12, (12,)),
        (12, 5, (12,)),
        (1, 9, (1, 2, 4, 8, 9)),
    ],
)
def test_looks_double(count: int, at_most: int, looks: tuple[int, ...]) -> None:
    """Doubling keeps the looks few, and so the intervals narrow; the last is at the most that was allowed."""
    assert analysis_points(count, at_most) == looks


def test_only_what_an_interval_decides_is_looked_at() -> None:
    """A phase of which only counts are expected is never given more episodes, nor wider intervals."""
    assert interim_analyses(_scenario(RATE, COUNT), None) == {"kill": (2, 4, 8)}


def test_nothing_to_decide() -> None:
    """Asked to add episodes where no interval decides anything, we say so instead of running once."""
    with pytest.raises(UsageError, match="expects no rate and no latency"):
        interim_analyses(_scenario(COUNT), None)


def test_no_room_for_more() -> None:
    """A limit that no phase can grow to is a mistake, with the episodes that each has."""
    with pytest.raises(UsageError, match="kill has 2"):
        interim_analyses(_scenario(RATE), 2)


def test_what_is_played_further() -> None:
    """An open phase goes on to its next look; a decided one and one at its last look do not."""
    plan = _scenario(RATE)
    looks = {"kill": (2, 4, 8)}
    (stretch,) = next_ranges(plan, looks, {"steady": 2, "kill": 4}, {"kill"})
    assert (stretch.phase.name, stretch.first, stretch.count) == ("kill", 4, 4)
    assert next_ranges(plan, looks, {"steady": 2, "kill": 8}, {"kill"}) == ()
    assert next_ranges(plan, looks, {"steady": 2, "kill": 4}, {"steady"}) == ()


def test_how_long_it_takes_at_most() -> None:
    """Six more strikes of a second each, in two stretches, each with what lies between phases."""
    plan = _scenario(RATE)
    assert worst_case_s(plan, {"kill": (2, 4, 8)}) == pytest.approx(plan.forecast_s + 6 * 1.0 + 2 * 2.6)


def test_looks_are_read_back() -> None:
    """plan.json carries them: measured again years later, the same error is split in the same way."""
    plan = Plan(stem="x", scenario=_scenario(RATE), target=TARGET, looks={"kill": (2, 4, 8)})
    again = Plan.model_validate_json(plan.model_dump_json(), strict=False)
    assert again == plan
    assert (again.analyses_of("kill"), again.analyses_of("steady")) == (3, 1)


BROKEN = (3, 1, 0, 2, 1, 1, 0, 2)


@pytest.fixture
def twice(tmp_path: Path) -> Findings:
    """Four strikes, a steady phase, and four strikes more; of ten requests each, so many broke."""
    plan = scenario({**KILL, "episodes": 4}, STEADY, expect=[RATE, COUNT])
    with Recorded(tmp_path, plan, looks={"kill": (4, 8, 16)}) as run:
        run.probe()
        run.phase("kill", [(n, n + 1, n + 0.5) for n in range(4)])
        run.phase("steady", [(5, 7, None), (7, 9, None)])
        run.phase("kill", [(10 + n, 11 + n, 10.5 + n) for n in range(4)], first=4)
        for arm in ("plain", "pre_ping"):
            run.land(arm, "kill", 8)
            run.requests(arm, [5.1, 6, 7.1, 8])
        for n, count in enumerate(BROKEN):
            at = n if n < 4 else 6 + n
            for i in range(10):
                run.request("plain", at + i / 10, 20, errors=[error("query", RESET)] if i < count else None)
                run.request("pre_ping", at + i / 10, 20)
        run.finish(at=20)
    return run.measured()


def test_a_phase_played_twice_is_one_phase(twice: Findings) -> None:
    """Episodes of both stretches count together, and the time between them belongs to neither."""
    cell = twice.cell("plain", "kill")
    assert (cell.requests, cell.broken, cell.episodes) == (80, sum(BROKEN), 8)
    kill, steady = twice.phases
    assert kill.played_s == ((0.0, 4.0), (10.0, 14.0))
    assert steady.played_s == ((5.0, 9.0),)
    assert len(kill.strikes_s) == 8


def test_the_charts_shade_both_stretches(twice: Findings) -> None:
    """Each stretch has its own band and its own name above the charts."""
    ends = [label["ends"] for label in draw_timelines(twice).roles["labels"]]  # type: ignore[attr-defined]
    assert ends == [[0.0, 4.0], [10.0, 14.0], [5.0, 9.0]]


def test_intervals_share_the_error(twice: Findings) -> None:
    """Three looks were planned: the interval of a rate misses the truth in 5 / 3 of 100 runs, not in 5."""
    found = twice.cell("plain", "kill").ci95
    assert found == rate_interval(BROKEN, [10] * 8, largest_rate=0.3, error=0.05 / 3)
    assert found != rate_interval(BROKEN, [10] * 8, largest_rate=0.3)
    assert twice.checks[0].ci95 == found


def test_a_reader_is_told(twice: Findings) -> None:
    """How many episodes, at which looks, and what each interval holds for that."""
    (note,) = twice.notes
    assert note.startswith("kill: 8 episodes, judged after 4, 8; planned were looks at 4, 8, 16.")


def test_nothing_is_doubted_because_of_it(twice: Findings) -> None:
    """A phase that was played twice is no reason to mistrust anything."""
    assert [warning.code for warning in twice.warnings if warning.unknown] == []
