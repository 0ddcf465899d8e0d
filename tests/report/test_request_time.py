"""Where the time of requests went, on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext
from tests.report import samples
from tests.report.browsing import open_from_disk
from tests.report.test_terminal import printed

from brokenpipe.measure.failures.witness_coverage import WitnessCoverage
from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.report.run.html import render_html, write_html
from brokenpipe.report.run.request_time import time_line, time_phases, unknown_time_texts
from brokenpipe.report.run.time_chart import short_names

TIME = TimeBreakdown(90, 100.0, 0.04, 2.0, 3.0, 25.0, None)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def test_a_row_has_every_part_and_says_how_many_requests_it_is_of() -> None:
    """What is unknown is a dash, what is next to nothing is 0, and a mean of some requests is not one of all."""
    found = samples.default()
    cells = {place: replace(cell, requests=100) for place, cell in found.cells.items()}
    found = replace(found, cells=cells, times={("plain", "steady"): TIME})
    ((phase),) = time_phases(found)
    (row,) = phase.rows
    said = [text.replace("\u202f", " ") for text in row.texts]
    assert said == ["100 ms", "0 ms", "2 ms", "3 ms", "25 ms", "–", "70 ms"]
    assert row.partial == "of 90 of 100 requests, which the witness saw"
    all_seen = replace(found, times={("plain", "steady"): replace(TIME, requests=100)})
    assert [row.partial for phase in time_phases(all_seen) for row in phase.rows] == [""]


def test_an_arm_without_figures_is_named_with_the_reason() -> None:
    """Not seen by the witness, or from before it was recorded; never a bar of nothing."""
    found = replace(
        samples.default(),
        times={("plain", "steady"): TIME},
        witness_coverage={"plain": WitnessCoverage.BOTH, "pre_ping": WitnessCoverage.REQUESTS},
    )
    said = list(unknown_time_texts(found))
    assert said[0] == "pre_ping: not known, the witness saw its requests, but no pool that it knows."
    assert said[1] == "recycle: not known, this history does not tell what statements took."
    assert "pre_ping: not known" in render_html(found)


def test_without_any_figure_there_is_no_section() -> None:
    """A history from before."""
    found = replace(samples.default(), times={})
    assert "Where did the time of requests go?" not in render_html(found)
    assert "of a mean request" not in printed(found, 80)


def test_the_terminal_has_a_line_for_each_arm() -> None:
    """Of the phase without a fault; the parts that are anything, in 80 columns."""
    said = printed(samples.default(), 80)
    assert "time · of a mean request in steady, inside the service" in said
    line = next(
        line for line in said.splitlines() if line.strip().startswith("plain") and "elsewhere" in line
    )
    assert "statements" in line
    assert "ping" not in line
    assert len(line) <= 80
    assert (
        time_line(TIME).replace("\u202f", " ")
        == "100 ms: connect 2 ms, ping 3 ms, statements 25 ms, elsewhere 70 ms"
    )


def test_names_beside_bars_are_cut_and_differ() -> None:
    """Two long names that begin alike are two bars."""
    long = "a_name_that_is_far_too_long"
    names = short_names((f"{long}_one", f"{long}_two", "plain"))
    assert len(set(names)) == 3
    assert names[2] == "plain"
    assert all(len(name) <= 22 for name in names)


def test_the_page_draws_a_bar_for_each_arm(context: BrowserContext, tmp_path: Path) -> None:
    """A chart for each phase, as wide as the window, also on a telephone and in the dark; nothing overflows."""
    path = tmp_path / "report.html"
    found = samples.default()
    write_html(found, path)
    opened = open_from_disk(context, path)
    section = opened.page.locator("#request-time")
    assert section.locator(".bk-Figure").count() == len(found.phases)
    rows = section.locator("tbody tr").count()
    assert rows == len(found.phases) * len(found.arms)
    for width in (400, 1600):
        opened.page.set_viewport_size({"width": width, "height": 900})
        box = section.locator(".bk-Figure").first.bounding_box()
        assert box is not None
        assert box["height"] > 80
    opened.assert_fits()
    opened.assert_quiet()
