"""The end of a run in a terminal, and in the log of a CI job."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.report import samples

from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report import texts
from brokenpipe.report.run import table
from brokenpipe.report.terminal.terminal import result_lines

REPORT = Path("reports/default/20260314T092653Z/report.html")


def printed(findings: Findings, width: int, *, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, color_system="truecolor" if colour else None
    )
    console.print(result_lines(findings, REPORT, console), crop=False)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", samples.EVERY)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    """At 80 and at 120 columns every line fits, with eight arms and eight phases too."""
    for line in printed(samples.EVERY[name](), width).splitlines():
        assert cell_len(line) <= width, line


@pytest.mark.parametrize("name", samples.EVERY)
def test_the_last_line_is_the_verdict_and_the_report(name: str) -> None:
    """A script finds the verdict in words and the path whole in the last line, even where it is narrow."""
    findings = samples.EVERY[name]()
    last = printed(findings, 30).splitlines()[-1]
    assert last.split() == [*last.split()[:1], findings.verdict.value.upper(), str(REPORT)]


def test_without_colour_nothing_is_lost() -> None:
    """A log carries no escape sequence, and the same words as a terminal in colour."""
    assert "\x1b" not in printed(samples.large(), 120)
    assert "\x1b" in printed(samples.large(), 120, colour=True)


@pytest.mark.parametrize(("rest_s", "rest"), [((1.2, 1.4), "1.2–1.4 s of rest"), ((61, 61), "61 s of rest")])
def test_a_first_use_after_a_rest_is_told_with_its_rest(rest_s: tuple[float, float], rest: str) -> None:
    """Neither stale nor in use, and with no word about what would have helped."""
    findings = samples.default()
    place = ("plain", "socket_kill")
    cells = {**findings.cells, place: replace(findings.cells[place], in_use=0, after_rest=23, rest_s=rest_s)}
    said = f"plain: 23 broken at first use after {rest}; whether it was dead before cannot be determined"
    assert said in printed(replace(findings, cells=cells), 120)
    assert f"23 first use after {rest}" in table.describe_broken(cells[place]).replace("\u202f", " ")
    assert texts.describe_first_use(None) == "first use after a rest"


def test_one_line_for_each_arm_in_each_phase() -> None:
    """Rate, interval, stale, in use, other failures, masked and p95 of an arm stand in one line."""
    cell = samples.default().cells["recycle", "socket_kill"]
    lines = [line.rstrip() for line in printed(samples.default(), 80).splitlines()]
    start = lines.index("socket_kill · reset")
    words = next(line for line in lines[start:] if line.split()[0] == "recycle").split()
    assert cell.broken_pipe_rate is not None
    assert words[1:3] == [f"{cell.broken_pipe_rate * 100:.1f}", "%"]
    assert cell.masked is not None
    assert cell.latency_ms.p95 is not None
    numbers = [
        str(cell.stale),
        str(cell.in_use),
        "1",
        str(cell.masked.total),
        f"{cell.latency_ms.p95:.0f}",
        "ms",
    ]
    assert words[-6:] == numbers


def test_in_doubt_no_arm_is_called_best() -> None:
    """Only who is recommended has the mark."""
    found = samples.default()
    assert found.best
    assert "pre_ping (best)" in printed(found, 80)
    assert "(best)" not in printed(replace(found, best=replace(found.best, in_doubt=True)), 80)


def test_checks_that_did_not_pass_are_shown_and_the_others_counted() -> None:
    """Failed and undecided checks are told in full; those that passed are a number."""
    text = printed(samples.large(), 120)
    assert "✗ FAIL     both loses 21 %" in text
    assert "? UNKNOWN  lifo has no successful request" in text
    assert "3 checks passed" in text
    assert "plain loses" not in text


def test_a_warning_comes_with_its_remedy() -> None:
    """After each doubt stands what to do about it."""
    lines = printed(samples.large(), 120).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("! in doubt"))
    assert "→ Run fewer arms" in lines[at + 1]


def test_text_of_others_cannot_steer_the_terminal() -> None:
    """Escape sequences and markup in a text that a service chose arrive as harmless characters."""
    evil = "\x1b[2J\x1b]0;owned\x07 [red]not markup[/red] [/]"
    findings = replace(samples.default(), sentence=evil, question=evil)
    check = replace(findings.checks[0], verdict=Verdict.FAIL, text=evil)
    text = printed(replace(findings, checks=(check,)), 120)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count("[red]not markup[/red]") == 3


def test_an_experiment_that_was_cut_off_says_so() -> None:
    """Incomplete results name how far the experiment came; phases without a request say that."""
    text = printed(samples.cut_off(), 120)
    assert "Phases reached: steady, socket_kill." in text
    assert text.count("no request") == len(samples.ARMS)
    assert "no phase" in printed(samples.empty(), 120).lower()


def test_what_is_said_of_several_arms_is_said_once() -> None:
    """Doubts of one kind in one phase become one, which names the other arms; other phases keep their own."""
    one = [
        ValidityWarning.of(
            Code.FAULT_DID_NOT_LAND, f"1 of 12 strikes on {arm} in kill", phase="kill", arm=arm
        )
        for arm in ("plain", "pre_ping", "both")
    ]
    other = ValidityWarning.of(
        Code.FAULT_DID_NOT_LAND, "2 of 12 strikes on plain in idle", phase="idle", arm="plain"
    )
    assert texts.group_equal_warnings([*one, other]) == ((one[0], "likewise pre_ping, both"), (other, ""))


def test_a_reason_is_not_lent_to_another_arm() -> None:
    """Two arms of which the witness saw different things: each has its own sentence, counts may differ."""

    def unseen(arm: str, count: str, why: str) -> ValidityWarning:
        return ValidityWarning.of(
            Code.REQUESTS_UNSEEN, f"{count} to {arm} failed, and why is not known: {why}", arm=arm
        )

    plain, both = unseen("plain", "1 request", "no file"), unseen("both", "12 requests", "no file")
    other = unseen("pre_ping", "12 requests", "pools only")
    assert texts.group_equal_warnings([plain, both, other]) == ((plain, "likewise both"), (other, ""))
