"""The start page of a folder of reports, and `list`: everything that was made, the newest first."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext
from tests.report.browsing import open_from_disk
from tests.report.nightly_summaries import night
from tests.report.run_pairs import NONE, SOME, recorded
from tests.unit.shell import brokenpipe

from brokenpipe.report.index.collection import read_collection
from brokenpipe.report.index.index import render_index, write_index


def test_a_report_brings_the_start_page_up_to_date(context: BrowserContext, tmp_path: Path) -> None:
    """After `report` of a run in reports/<scenario>/<time> the page links it; what has no summary says what to do."""
    run = recorded(tmp_path / "by_hand" / "20260314T020000Z", {"plain": SOME, "pre_ping": NONE})
    recorded(tmp_path / "by_hand" / "20260315T020000Z", {"plain": SOME, "pre_ping": NONE})
    night(tmp_path, 3)
    answer = brokenpipe("report", str(run))
    assert answer.exit_code == 0, answer
    opened = open_from_disk(context, tmp_path / "index.html")
    page = opened.page
    text = page.locator("main").inner_text()
    assert "20260315T020000Z" in text
    assert "brokenpipe report by_hand/20260315T020000Z" in text
    assert f"{sum(SOME)} of 120" in text
    opened.assert_fits()
    opened.assert_quiet()
    page.locator("a[href$='report.html']").first.click()
    page.wait_for_url("**/20260314T020000Z/report.html")


def test_the_newest_stands_first(tmp_path: Path) -> None:
    """Of the scenarios and of each one's runs."""
    for n, stem in ((1, "older"), (2, "newer"), (3, "older"), (9, "newer")):
        night(tmp_path, n, stem=stem)
    there = read_collection(tmp_path)
    assert [(stem, [run.folder.name[:8] for run in runs]) for stem, runs in there.scenarios] == [
        ("newer", ["20260310", "20260303"]),
        ("older", ["20260304", "20260302"]),
    ]


def test_other_pages_are_linked_by_their_titles(tmp_path: Path) -> None:
    """A trend is; a page that somebody else put there is not."""
    for n in range(3):
        night(tmp_path, n)
    (tmp_path / "compare-notes.html").write_text("<title>somebody's notes</title>")
    write_index(tmp_path)
    assert brokenpipe("trend", str(tmp_path)).exit_code == 0
    text = (tmp_path / "index.html").read_text()
    assert '<a href="trend.html">Trend of default</a>' in text
    assert "somebody" not in text
    listed = brokenpipe("list", "--reports", str(tmp_path)).out
    assert "Trend of default" in listed
    assert "default/20260303T020000Z" in listed


def test_an_empty_folder_has_a_start_page_too(tmp_path: Path) -> None:
    """It says how to make the first report."""
    assert "No report yet" in render_index(tmp_path / "nothing")


def test_a_run_elsewhere_writes_no_start_page(tmp_path: Path) -> None:
    """Only reports/<scenario>/<time> is known to be a folder of reports."""
    run = recorded(tmp_path / "somewhere" / "mine", {"plain": SOME, "pre_ping": NONE})
    assert brokenpipe("report", str(run)).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["somewhere"]
