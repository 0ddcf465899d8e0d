"""The trend over many nights: from summaries alone, with what changed, and one click to each run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from tests.report.browsing import open_from_disk
from tests.report.nightly_summaries import night
from tests.report.samples import HOSTILE
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.index.summaries import read_summaries
from brokenpipe.report.trend.series import group_trends

NIGHTS, STEP = 20, 12


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty nights: from the thirteenth on the control breaks more, with another driver. And what else lies there."""
    folder = tmp_path_factory.mktemp("reports")
    for n in range(NIGHTS):
        late = n >= STEP
        night(
            folder, n, rate=0.06 if late else 0.03, environment={"asyncpg": HOSTILE if late else "0.32.0"},
            verdict=Verdict.FAIL if n == STEP else Verdict.PASS,
        )  # fmt: skip
    night(folder, 30, stem="lonely")
    last = max((folder / "default").iterdir())
    (last / "report.html").write_text("<title>its report</title>")
    (folder / "default" / "latest").symlink_to(last.name)
    for name, text in (
        ("cut", '{"schema": 1, "scen'),
        ("foreign", '{"total": {"lines": 7}}'),
        ("later", json.dumps(json.loads((last / "summary.json").read_text()) | {"schema": 2})),
    ):
        (folder / name).mkdir()
        (folder / name / "summary.json").write_text(text)
    return folder


def test_the_planted_step_is_the_one_change(reports: Path) -> None:
    """It is found in its night, in its arm and phase, with what that run had otherwise; nothing else is."""
    (trend,) = group_trends(read_summaries(reports)[0])
    (change,) = trend.changes
    assert (change.metric.key, change.phase, change.arm, change.run) == ("rate", "socket_kill", "plain", STEP)
    assert change.before == pytest.approx(0.03, abs=0.004)
    assert change.after == pytest.approx(0.06, abs=0.004)
    assert change.otherwise == (f"asyncpg 0.32.0 → {HOSTILE}",)


def test_bad_and_foreign_summaries_are_skipped_with_a_word(reports: Path) -> None:
    """Each by its path and why; the link to the newest run is not another run."""
    found, skipped = read_summaries(reports)
    assert len(found) == NIGHTS + 1
    why = {each.path.parent.name: each.why for each in skipped}
    assert set(why) == {"cut", "foreign", "later"}
    assert "is not JSON" in why["cut"]
    assert "schema" in why["foreign"]
    assert "schema" in why["later"]


def test_runs_with_other_users_are_another_trend(tmp_path: Path) -> None:
    """What was asked otherwise is not one series; the newest question comes first."""
    for n in range(8):
        night(tmp_path, n, users=10 if n < 4 else 20)
    groups = group_trends(read_summaries(tmp_path)[0])
    assert [(group.newest.users_per_arm, len(group.runs)) for group in groups] == [(20, 4), (10, 4)]
    assert not any(group.changes for group in groups)


def test_the_page_in_a_browser(context: BrowserContext, reports: Path) -> None:
    """From disk without a request, text of others inert, each run one click away, by its point as well."""
    answer = brokenpipe("trend", str(reports))
    assert answer.exit_code == 0
    assert "broken-pipe rate of plain in socket_kill" in answer.out
    assert "skipped" in answer.out
    path = Path(answer.out.splitlines()[-1])
    assert path == reports / "trend.html"
    opened = open_from_disk(context, path)
    page = opened.page
    assert page.locator(".verdicts a").count() == NIGHTS
    assert page.locator(".verdicts .fail").count() == 1
    text = page.locator("main").inner_text()
    assert "lonely/" in text
    assert "foreign/summary.json" in text
    assert HOSTILE in text
    opened.assert_fits()
    assert page.evaluate("() => window.pwned") is None
    opened.assert_quiet()
    page.locator(".verdicts a").last.click()
    page.wait_for_url("**/report.html")
    assert page.title() == "its report"


def test_a_click_on_a_point_opens_its_run(context: BrowserContext, reports: Path, tmp_path: Path) -> None:
    """The newest point of a chart leads to the newest run's report; the page may be written elsewhere."""
    path = tmp_path / "elsewhere.html"
    assert brokenpipe("trend", str(reports), "--output", str(path)).exit_code == 0
    page = open_from_disk(context, path).page
    chart = page.locator("figure .chart").nth(1)
    chart.scroll_into_view_if_needed()
    spot = page.evaluate("""() => {
        const plot = Bokeh.documents[0].roots()[1];
        const view = Bokeh.index.get_one(plot);
        const points = plot.renderers.find((each) => each.name === "points");
        const [x, y] = ["x", "y"].map((axis) => points.data_source.data[axis].at(-1));
        const box = view.el.getBoundingClientRect();
        return [box.x + view.frame.bbox.left + view.frame.x_scale.compute(x) - view.frame.bbox.left,
                box.y + view.frame.y_scale.compute(y)];
    }""")
    page.mouse.click(*spot)
    page.wait_for_url("**/report.html", timeout=10_000)
    assert page.title() == "its report"


def test_a_folder_without_summaries_is_a_mistake(tmp_path: Path) -> None:
    """Said, with what to do."""
    assert_answers_a_mistake(brokenpipe("trend", str(tmp_path)))
    assert_answers_a_mistake(brokenpipe("trend", str(tmp_path / "nowhere")))


def test_too_few_nights_say_how_many_it_takes(tmp_path: Path) -> None:
    """Four nights are drawn, and the page says from how many on a change could be seen."""
    for n in range(4):
        night(tmp_path, n)
    answer = brokenpipe("trend", str(tmp_path))
    assert "4 runs: too few to tell any change from chance" in answer.out
