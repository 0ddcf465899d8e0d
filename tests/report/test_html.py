"""The page as text: what it says when there is little or nothing to say, and what it is made of."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report import samples
from tests.report.pages import rendered

from brokenpipe.interval import Interval
from brokenpipe.measure.model.series import Series
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.arm_styles import dash_of
from brokenpipe.report.charts import POINTS, downsample, draw_timelines, split_at_gaps
from brokenpipe.report.run import recovery
from brokenpipe.report.run.arm_differences import difference_lines
from brokenpipe.report.run.html import render_html, write_html
from brokenpipe.report.template import Script, to_inline_json

LIMIT_BYTES = 2_000_000


def visible(text: str) -> str:
    """Give a page's text without scripts, styles and tags, on one line."""
    bare = re.sub(r"<(script|style).*?</\1>", " ", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", bare)).replace("\u202f", " ").split())


@pytest.mark.parametrize("name", samples.EVERY)
def test_every_page_is_small_and_refers_to_nothing(name: str) -> None:
    """A page stays below 2 MB and names no file or address that it would have to load."""
    text = rendered(name)
    assert len(text.encode()) < LIMIT_BYTES
    markup = re.sub(r"<(script|style)[ >].*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r"\b(src|href)\s*=\s*\"(?!#)", markup)


def test_a_page_is_one_file(tmp_path: Path) -> None:
    """The page takes an older one's place in one step, whoever is reading that one, and leaves nothing else."""
    path = tmp_path / "report.html"
    path.write_text("an older one")
    with path.open() as reader:
        write_html(samples.empty(), path)
        assert reader.read() == "an older one"
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == rendered("empty")


def test_the_first_screen_answers_the_question() -> None:
    """Question, verdict in words, sentence, share prevented, and each arm's rate with its interval are there."""
    found = samples.default()
    text = visible(rendered("default"))
    for part in (
        found.question,
        "✓ pass all 3 checks hold",
        found.sentence,
        "of the failed requests of plain",
    ):
        assert part in text
    assert "7 stale · 23 in use" in text
    assert "pool_pre_ping=True" in text


def test_what_may_be_chance_is_not_shown_as_prevented() -> None:
    """Both counts instead of a share, where the episodes do not agree that an arm is better."""
    found = samples.default()
    assert found.best
    text = visible(render_html(replace(found, best=replace(found.best, better_in=()))))
    tallies = (found.best.control_totals, found.best.arm_totals)
    assert " → ".join(f"{each.failed} of {each.requests:,}" for each in tallies) in text
    assert "no more apart than chance may be" in text
    _recommends_nothing(text)
    assert "are prevented by" in visible(render_html(found))


def test_a_run_in_doubt_recommends_nothing() -> None:
    """No badge, no share and nothing to copy: the counts, and that they are in doubt."""
    found = samples.default()
    assert found.best
    doubted = replace(found, verdict=Verdict.UNKNOWN, best=replace(found.best, in_doubt=True))
    text = visible(render_html(doubted))
    assert "in doubt Failed requests of plain and of pre_ping" in text
    assert "No settings are recommended: this run is in doubt." in text
    _recommends_nothing(text)


def test_a_share_that_may_be_none_is_not_shown_alone() -> None:
    """The signs say that it is better, the interval does not say by how much: both rates, and that."""
    found = samples.default()
    assert found.best
    wide = replace(found.best, ci95=Interval(-0.1, 0.9))
    text = visible(render_html(replace(found, best=wide)))
    assert "pre_ping is better in idle_reset, by more than chance" in text
    assert "not known to better than −10 % to 90 %" in text
    assert "are prevented by" not in text


def _recommends_nothing(text: str) -> None:
    assert "are prevented by" not in text
    assert "ready to copy" not in text
    assert not re.search(r"\bbest\b", text)


def test_no_failure_no_witness_no_expectation() -> None:
    """What was not seen or not asked is said in words instead of being shown as zero."""
    text = visible(rendered("nothing_broke"))
    for part in (
        "No request failed.",
        "masked not seen",
        "nothing was asked",
        "No arm is recommended",
    ):
        assert part in text
    assert "No pool timelines: no pool was seen." in text


def test_an_experiment_that_ended_at_once() -> None:
    """With nothing recorded every section says that it has nothing, and the page is still a page."""
    text = visible(rendered("empty"))
    for part in (
        "Incomplete.",
        "No phase was reached",
        "No timeline",
        "No episode",
        "No process was measured",
    ):
        assert part in text


def test_an_experiment_that_was_cut_off() -> None:
    """The page says how far the experiment came, and that no request was started in its last phase."""
    text = visible(rendered("cut_off"))
    assert "Phases reached: steady, socket_kill." in text
    assert text.count("no request") == len(samples.ARMS)
    assert "3 of 3 checks undecided" in text


def test_a_doubt_stands_beside_the_verdict() -> None:
    """A warning that makes the verdict doubtful is read before the table, with its remedy."""
    text = visible(rendered("large"))
    assert text.index("The machine was 86 % busy") < text.index(
        "How many requests broke, in each arm and phase?"
    )
    assert "Run fewer arms with --only" in text


def test_a_cell_that_is_missing_is_not_run() -> None:
    """An arm that has no cell in a phase is shown as not run, never as zero."""
    found = samples.default()
    cells = {place: cell for place, cell in found.cells.items() if place != ("both", "latency")}
    assert visible(render_html(replace(found, cells=cells))).count("not run") == 1


def test_json_inside_a_page_carries_no_markup() -> None:
    """A string in the charts' JSON cannot end its element, and reads back unchanged."""
    written = str(to_inline_json({samples.HOSTILE: [samples.HOSTILE]}))
    assert not set(written) & set("<>&")
    assert json.loads(written) == {samples.HOSTILE: [samples.HOSTILE]}


def test_a_script_that_would_end_early_is_refused() -> None:
    """Our own scripts are checked for the end tag that would cut them in two."""
    with pytest.raises(ValueError, match="end tag"):
        Script.of("'</SCRIPT>'")


def test_thinning_keeps_every_peak() -> None:
    """A long series is cut to what a screen can show; its largest value survives, a gap stays a gap."""
    size = 20 * POINTS
    values: list[float | None] = [0.0] * size
    values[12_345] = 0.7
    values[size // 2 : size // 2 + 60] = [None] * 60
    at, thinned = downsample(Series(tuple(float(n) for n in range(size)), tuple(values)))
    assert len(at) == len(thinned) <= POINTS
    gaps = np.isnan(thinned)
    assert max(thinned[~gaps]) == pytest.approx(0.7)
    assert 1 <= gaps.sum() <= 60


def test_a_line_is_parted_where_bins_are_missing() -> None:
    """Nothing is drawn across a pause, and a lone bin keeps a width that can be seen."""
    at, values = split_at_gaps(np.array([0.0, 0.5, 1.0, 4.0, 7.0, 7.5]), np.arange(6.0))
    assert at.tolist() == [0.0, 0.5, 1.0, 1.5, 1.5, 4.0, 4.5, 4.5, 7.0, 7.5]
    assert [None if np.isnan(v) else v for v in values] == [0, 1, 2, 2, None, 3, 3, None, 4, 5]


def test_a_long_run_stays_small() -> None:
    """Half an hour of eight arms at four bins a second makes a page below 2 MB."""
    found = samples.large()
    series = Series(tuple(n / 4 for n in range(7200)), tuple((n * 7919 % 101) / 101 for n in range(7200)))
    lines = {name: dict.fromkeys(found.arms, series) for name in type(found.timelines).__dataclass_fields__}
    text = render_html(replace(found, timelines=replace(found.timelines, **lines)))
    assert len(text.encode()) < LIMIT_BYTES


def test_arms_differ_by_more_than_colour() -> None:
    """Sixteen arms have sixteen different pairs of colour and dashes."""
    assert len({(index % 8, dash_of(index)) for index in range(16)}) == 16


def test_a_chart_without_a_series_is_left_out() -> None:
    """Without a witness there are no pool charts; the others stay."""
    assert [chart.key for chart in draw_timelines(samples.nothing_broke()).shown] == [
        "failed", "p95", "throughput", "postgres",
    ]  # fmt: skip


@pytest.mark.parametrize("name", samples.EVERY)
def test_every_episode_is_a_dot_inside_its_strip(name: str) -> None:
    """No recovery time falls off its scale, and no known one is lost."""
    found = samples.EVERY[name]()
    for panel in recovery.recovery_panels(found):
        for strip in panel.strips:
            known = [time for time in found.cells[strip.arm, panel.phase].recovery_s if time is not None]
            assert len(strip.dots) == len(known)
            assert all(0 <= dot.left <= 100 for dot in strip.dots)


def test_differences_are_said_in_words() -> None:
    """What differs is said to be more or less; what does not, from which size on this run would have seen it."""
    page = samples.default()
    said = {(line.arm, line.phase, line.what): line.said for line in difference_lines(page)}
    assert said["pre_ping", "idle_reset", "broken-pipe rate"] == "less than plain"
    assert said["both", "socket_kill", "median latency"] == (
        "no difference seen; this run could have seen one of 4.1\u202fms or more"
    )
    assert said["both", "steady", "broken-pipe rate"] == "5 episodes cannot tell: it takes 7 or more"
    assert "Which arms differ from plain?" in rendered("default")
