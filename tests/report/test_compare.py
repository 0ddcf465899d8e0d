"""Two runs held against each other: what differs, what cannot be said, and what is refused."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from rich.console import Console
from tests.measure import test_unseen as unseen
from tests.measure.recorded import CLOSED, REFUSED, Recorded
from tests.report.browsing import open_from_disk
from tests.report.run_pairs import A_FEW, NONE, SOME, recorded
from tests.report.samples import HOSTILE
from tests.unit.plans import KILL, SLOW, arms_of, scenario
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

from brokenpipe.measure.compare.runs import RunsCompared, compare
from brokenpipe.measure.failures.witness_coverage import WitnessCoverage
from brokenpipe.measure.regression.comparability import NotComparable
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.plan import Plan
from brokenpipe.report.compare import view
from brokenpipe.report.compare.page import render_comparison, write_comparison
from brokenpipe.report.compare.terminal import comparison_lines


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> RunsCompared:
    """A planted regression: pre-ping is no longer on in its arm, and the control has another kind of failure."""
    folder = tmp_path_factory.mktemp("regression")
    base = recorded(
        folder / "base",
        {"plain": SOME, "pre_ping": NONE},
        environment={
            "versions": {"locust": "2"},
            "code": {"target": {"revision": "a" * 40, "changes": None}},
        },
    )
    new = recorded(
        folder / "new",
        {"plain": SOME[::-1], "pre_ping": SOME},
        chain=CLOSED,
        late_s=3.0,
        environment={
            "cores": 4,
            "versions": {"locust": HOSTILE},
            "code": {"target": {"revision": "b" * 40, "changes": "c" * 64}},
        },
        arms=arms_of({"plain": {}, "pre_ping": {}}),
    )
    return compare([base, new])


def test_a_planted_regression_is_the_one_difference(regression: RunsCompared) -> None:
    """The arm without its pre-ping breaks more than any relabelling shows; of the control nothing can be said."""
    (against,) = regression.comparisons
    rates = {each.arm: each for each in against.differences if each.metric is Metric.BROKEN_PER_EPISODE}
    worse, same = rates["pre_ping"], rates["plain"]
    assert worse.difference == pytest.approx(sum(SOME) / 12)
    assert worse.p == pytest.approx(2 / 10_000)  # two arms, the least p of a sample of ways
    assert worse.differs
    assert worse.ci95 is not None
    assert 1.5 < worse.ci95.low < sum(SOME) / 12 < worse.ci95.high < 4.5
    assert same.difference == pytest.approx(0)
    assert not same.differs
    assert {(each.arm, each.metric) for each in against.differing} == {
        ("pre_ping", Metric.BROKEN_PER_EPISODE), ("pre_ping", Metric.FAILED_PER_EPISODE),
    }  # fmt: skip


def test_chance_is_not_called_a_difference(tmp_path: Path) -> None:
    """The same episodes in another order, and one request more here or there: nothing can be said."""
    shuffled = random.Random(1).sample(A_FEW, len(A_FEW))
    base = recorded(tmp_path / "before", {"plain": A_FEW, "pre_ping": NONE})
    new = recorded(tmp_path / "after", {"plain": (*shuffled[1:], 2), "pre_ping": (*NONE[1:], 1)})
    (against,) = compare([base, new]).comparisons
    assert against.differing == ()
    rates = {each.arm: each for each in against.differences if each.metric is Metric.BROKEN_PER_EPISODE}
    assert all(each.ci95 is not None and each.ci95.low <= 0 <= each.ci95.high for each in rates.values())
    assert all(each.smallest_seen is not None and each.smallest_seen > 0.1 for each in rates.values())


def test_bursts_that_hold_fewer_requests_break_no_more(tmp_path: Path) -> None:
    """One request of each strike breaks in both: of ten in the one run, of eight in the other, which is no rise."""
    ones = (1,) * 12
    base = recorded(tmp_path / "base", {"plain": ones, "pre_ping": NONE})
    new = recorded(tmp_path / "new", {"plain": ones, "pre_ping": NONE}, requests=8)
    (against,) = compare([base, new]).comparisons
    assert {each.metric for each in against.differing} == {Metric.REQUESTS_PER_S}
    broken = next(
        each
        for each in against.differences
        if each.metric is Metric.BROKEN_PER_EPISODE and each.arm == "plain"
    )
    assert broken.base is not None
    assert broken.new is not None
    assert (broken.base.value, broken.new.value, broken.difference) == (1, 1, 0)
    assert not {Metric.BROKEN_PIPE_RATE, Metric.FAILURE_RATE} & {each.metric for each in against.differences}
    fewer = next(each for each in against.differences if each.metric is Metric.REQUESTS_PER_S)
    assert fewer.difference == pytest.approx(-2)
    lines = [line for line in view.compared_metrics(against, "new") if line.metric is Metric.REQUESTS_PER_S]
    assert {(line.mark, line.said) for line in lines} == {("worse", "less than base")}


def test_slower_is_seen_in_every_latency(tmp_path: Path) -> None:
    """20 ms more in one arm: its median, its 95th percentile and what it adds to the control's; no rate."""
    base = recorded(tmp_path / "base", {"plain": NONE, "pre_ping": NONE})
    new = recorded(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms={"pre_ping": 70})
    (against,) = compare([base, new]).comparisons
    assert {(each.arm, each.metric) for each in against.differing} == {
        ("pre_ping", metric) for metric in (Metric.P50_MS, Metric.P95_MS, Metric.ADDED_P50_MS)
    }
    assert all(19 < (each.difference or 0) < 22 for each in against.differing)


def test_what_was_done_otherwise_is_listed(regression: RunsCompared) -> None:
    """Settings, code, versions and machine, with the values of both; what is alike is not."""
    found = {(each.group, each.setting): each.values for each in regression.config_differences}
    assert found == {
        ("settings", "arms.pre_ping.POOL_PRE_PING"): ("true", "–"),
        ("code", "target"): ("a" * 12, f"{'b' * 12} with changes {'c' * 7}"),
        ("versions", "locust"): ("2", HOSTILE),
        ("machine", "cores"): ("2", "4"),
    }


def test_new_and_vanished_error_classes(tmp_path: Path) -> None:
    """A class that only one run has is named so, with the arms it was in."""
    base = recorded(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    new = recorded(tmp_path / "new", {"plain": A_FEW, "pre_ping": NONE}, chain=REFUSED)
    (against,) = compare([base, new]).comparisons
    assert [(each.status, dict(each.base), dict(each.new)) for each in against.classes] == [
        ("new", {}, {"plain": sum(A_FEW)}),
        ("vanished", {"plain": sum(SOME)}, {}),
    ]


def test_strikes_lie_one_above_the_other(regression: RunsCompared) -> None:
    """However late a run began, what broke at a strike stands at 0: there and nowhere else."""
    for run in regression.runs:
        line = run.aligned_series["kill"].failed_share["plain"]
        failed = [at for at, share in zip(line.at_s, line.values, strict=True) if share]
        assert run.aligned_series["kill"].struck == 12
        assert len(failed) == 1
        assert 0 <= failed[0] < 0.05
        assert min(line.at_s) < -0.2
        assert max(line.at_s) > 0.4


def test_a_phase_played_twice_begins_at_0_both_times(tmp_path: Path) -> None:
    """As in a soak: both rounds lie one above the other, each from its own begin."""
    folders = [tmp_path / "base", tmp_path / "new"]
    for folder, late_s in zip(folders, (0.0, 5.0), strict=True):
        with Recorded(folder, scenario(SLOW)) as run:
            for n, begin in enumerate((late_s, late_s + 20)):
                run.phase("slow", [(begin, begin + 2, None), (begin + 2, begin + 4, None)], first=2 * n)
                for arm in ("plain", "pre_ping"):
                    run.requests(arm, [begin + i / 10 + 0.01 for i in range(40)])
            run.finish(at=late_s + 30)
    for compared in compare(folders).runs:
        line = compared.aligned_series["slow"].failed_share["plain"]
        assert compared.aligned_series["slow"].struck == 0
        assert 0 < min(line.at_s) < 0.1
        assert 3.9 < max(line.at_s) < 4


def test_what_only_one_run_has_is_left_out_and_said(tmp_path: Path) -> None:
    """An arm more does not keep the others from being compared."""
    base = recorded(tmp_path / "base", {"plain": SOME, "pre_ping": NONE, "both": NONE})
    new = recorded(tmp_path / "new", {"plain": SOME, "pre_ping": NONE})
    compared = compare([base, new])
    (against,) = compared.comparisons
    assert {each.arm for each in against.differences} == {"plain", "pre_ping"}
    assert "arm both: only in the baseline" in render_comparison(compared, tmp_path / "compare.html")


def test_what_does_not_compare_is_refused_with_every_reason(tmp_path: Path) -> None:
    """Other users, another fault: exit code 2, and what is missing, line by line."""
    base = recorded(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    with Recorded(tmp_path / "other", scenario(SLOW)) as run:
        run.phase("slow", [(0, 2, None), (2, 4, None)])
        run.finish()
    with pytest.raises(NotComparable) as refused:
        compare([base, run.folder])
    assert refused.value.details == ("phase kill: only in the baseline", "phase slow: only in the new run")
    answer = brokenpipe("report", str(base), str(run.folder))
    assert_answers_a_mistake(answer)
    assert "phase kill: only in the baseline" in answer.said


def test_a_run_that_reached_nothing_is_refused(tmp_path: Path) -> None:
    """A run that was cut off before its first phase has nothing to compare, and says so."""
    base = recorded(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    with Recorded(tmp_path / "cut", scenario(KILL | {"episodes": 12})):
        pass
    answer = brokenpipe("report", str(base), str(tmp_path / "cut"))
    assert_answers_a_mistake(answer)
    assert "no phase was reached in both" in answer.said


def test_the_command_says_where_the_page_is(tmp_path: Path) -> None:
    """The last line is the page; a run twice, or a place for the report of one, is a mistake."""
    base = recorded(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    new = recorded(tmp_path / "new", {"plain": SOME, "pre_ping": SOME})
    page = tmp_path / "there.html"
    answer = brokenpipe("report", str(base), str(new), "--output", str(page))
    assert answer.exit_code == 0
    assert answer.out.splitlines()[-1] == str(page)
    assert "new has 1 worse than base" in page.read_text()
    assert_answers_a_mistake(brokenpipe("report", str(base), str(base)))
    assert_answers_a_mistake(brokenpipe("report", str(base), "--output", str(page)))
    assert_answers_a_mistake(brokenpipe("report", str(base), str(tmp_path)))


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_keeps_its_width(regression: RunsCompared, width: int) -> None:
    """No line is wider than the terminal, and what differs can be read there."""
    console = Console(width=width, highlight=False, record=True, file=io.StringIO())
    for renderable in comparison_lines(regression):
        console.print(renderable, crop=False)
    said = console.export_text()
    assert max(map(len, said.splitlines())) <= width
    assert "worse" in said
    assert "What differs between the runs" in said


def test_the_page_in_a_browser(context: BrowserContext, regression: RunsCompared, tmp_path: Path) -> None:
    """From disk, without a request; text of others does not run; a button hides an arm's lines of both runs."""
    path = tmp_path / "compare.html"
    write_comparison(regression, path)
    assert path.stat().st_size < 2_000_000
    opened = open_from_disk(context, path)
    page = opened.page
    assert "Of 11 figures, new has 1 worse than base." in page.locator(".sentence").inner_text()
    assert HOSTILE in page.locator("main").inner_text()
    shown = """() => JSON.parse(document.getElementById("drawn").textContent).roles.lines.map(
        ([id, arm, run]) => [arm, run, Bokeh.documents[0].get_model_by_id(id).visible])"""
    page.locator(".legend button", has_text="pre_ping").click()
    page.locator(".legend button", has_text="base").click()
    lines = page.evaluate(shown)
    assert len(lines) == 2 * 2 * 2
    assert all(visible == (arm == 0 and run == 1) for arm, run, visible in lines)
    opened.assert_fits()
    assert page.evaluate("() => window.pwned") is None
    opened.assert_quiet()


def test_three_runs_have_one_base(tmp_path: Path) -> None:
    """Each later run is held against the first."""
    folders = [recorded(tmp_path / name, {"plain": SOME, "pre_ping": NONE}) for name in ("a", "b")]
    folders.append(recorded(tmp_path / "c", {"plain": NONE, "pre_ping": NONE}))
    compared = compare(folders)
    assert [len(against.differing) for against in compared.comparisons] == [0, 2]
    text = render_comparison(compared, tmp_path / "compare.html")
    assert "New 1 against base" in text
    assert "new 2 has 1 better than base" in text


def test_phases_played_otherwise_are_not_compared(tmp_path: Path) -> None:
    """The same phase with another rhythm is no longer the same question."""
    base = recorded(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    new = recorded(tmp_path / "new", {"plain": SOME, "pre_ping": NONE})
    document = Plan.model_validate_json((new / "plan.json").read_text())
    slower = scenario(KILL | {"episodes": 12, "every_s": 2.0})
    (new / "plan.json").write_text(document.model_copy(update={"scenario": slower}).model_dump_json())
    with pytest.raises(NotComparable, match="cannot be compared"):
        compare([base, new])


def test_a_rate_that_is_not_known_is_not_left_out_in_silence(tmp_path: Path) -> None:
    """Of a service that the witness does not see: which rate, in which run, and how many failed for no known cause."""
    folders = [tmp_path / name for name in ("base", "new")]
    for folder, failing in zip(folders, (4, 0), strict=True):
        unseen.recorded(folder, WitnessCoverage.NO_FILE, failing=failing).__exit__(None, None, None)
    compared = compare(folders)
    said = "broken-pipe rate of plain in kill: in base 4 failed, cause not known"
    console = Console(width=80, record=True, file=io.StringIO())
    for renderable in comparison_lines(compared):
        console.print(renderable, crop=False)
    assert said in " ".join(console.export_text().split())
    assert said in render_comparison(compared, tmp_path / "page.html")
