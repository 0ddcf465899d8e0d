"""What CI servers are given: JUnit XML, Markdown, annotations, metrics. Each read as its reader reads it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml
from markdown_it import MarkdownIt
from tests.report import samples

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.report.ci.github_annotations import SHOWN, workflow_commands
from brokenpipe.report.ci.junit import write_junit
from brokenpipe.report.ci.markdown import escape_markdown, markdown
from brokenpipe.report.ci.metrics import write_metrics
from brokenpipe.report.writer import WRITERS, write_report_files

NASTY = "50% of <b>a|b</b>\n::error::forged `x` \x1b[31m *y* _z_ http://evil.example\x00"


def _junit(findings: Findings, folder: Path) -> JUnitXml:
    write_junit(findings, folder / "junit.xml")
    return JUnitXml.fromfile(str(folder / "junit.xml"))


def _nasty(verdict: Verdict) -> Findings:
    check = Check("plain", "steady", "failed", "equals 0", 3, None, verdict, NASTY)
    return replace(
        samples.default(), checks=(check,), verdict=verdict, question=NASTY, command="brokenpipe run x"
    )


@pytest.mark.parametrize("name", samples.EVERY)
def test_junit_says_what_the_verdict_says(name: str, tmp_path: Path) -> None:
    """A failure is a failed check, an error an unknown one; without either, and only then, the run has passed."""
    findings = samples.EVERY[name]()
    found = _junit(findings, tmp_path)
    failed = sum(check.verdict is Verdict.FAIL for check in findings.checks)
    assert found.failures == failed
    if findings.verdict is Verdict.PASS and not any(warning.unknown for warning in findings.warnings):
        assert (found.failures, found.errors) == (0, 0)
    elif not failed and findings.checks:
        assert found.errors > 0


def test_junit_gives_figures_and_the_command(tmp_path: Path) -> None:
    """Whoever reads only the failure knows what was measured, and how to repeat it."""
    findings = samples.large()
    results = [
        (case.name, each) for suite in _junit(findings, tmp_path) for case in suite for each in case.result
    ]
    (failure,) = (each for _, each in results if isinstance(each, Failure))
    assert "21 % of its requests" in failure.message
    assert f"Repeat it with: {findings.command}" in failure.text
    errors = {name for name, each in results if isinstance(each, Error)}
    assert errors == {"lifo: p95_ms below 200", "can be trusted"}


def test_an_unknown_in_junit_names_the_doubt(tmp_path: Path) -> None:
    """A doubt about the whole run leaves checks undecided: each of them says which."""
    check = Check("plain", "steady", "failed", "equals 0", 0, None, Verdict.UNKNOWN, "0 failed requests")
    doubt = ValidityWarning("machine_saturated", "the machine was 97 % busy", "Lower --users.", unknown=True)
    found = _junit(replace(samples.default(), checks=(check,), warnings=(doubt,)), tmp_path)
    (error,) = (
        each for suite in found for case in suite for each in case.result if "0 failed" in each.message
    )
    assert "97 % busy" in error.text


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN])
def test_an_annotation_is_one_line_that_nobody_can_forge(verdict: Verdict) -> None:
    """Line feeds and percent signs are escaped, so that a message of the service's is no command of its own."""
    (line,) = workflow_commands(_nasty(verdict))
    assert line.isprintable()
    command = {Verdict.FAIL: "error", Verdict.UNKNOWN: "warning"}[verdict]
    title = rf"default%3A {verdict.value}%2C steady%2C plain"
    assert re.match(rf"::{command} title={title}::50%25 of ", line)
    assert line.endswith("%0ARepeat it with: brokenpipe run x")


def test_more_annotations_than_github_shows() -> None:
    """Ten errors at most, and the tenth says how many more there are."""
    check = Check("plain", "steady", "failed", "equals 0", 3, None, Verdict.FAIL, "3 failed")
    lines = list(workflow_commands(replace(samples.default(), checks=(check,) * 25)))
    assert len(lines) == SHOWN
    assert "::16 more in the summary" in lines[-1]


def test_a_pass_annotates_nothing() -> None:
    """A good run is no news."""
    assert list(workflow_commands(samples.default())) == []


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _rendered(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text))
    return tags


@pytest.mark.parametrize(
    "text", [NASTY, "# heading", "1. one", "- item", "a_b_c and _d_", "[x](y) ![z](w)", "a & &lt;"]
)
def test_any_text_is_shown_in_markdown_as_it_is(text: str) -> None:
    """No markup, no link, no list comes of what a service or a user wrote."""
    shown = _rendered(escape_markdown(text))
    assert shown.tags <= {"p"}
    assert shown.text.strip() == " ".join(
        "".join(c if c.isprintable() else "?" for c in text.replace("\n", " ")).split()
    )


@pytest.mark.parametrize("name", samples.EVERY)
def test_the_summary_has_a_column_a_phase_and_a_row_an_arm(name: str) -> None:
    """The table keeps its shape whatever arms and phases are called, and nothing of it runs."""
    findings = samples.EVERY[name]()
    html = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(findings))
    cells = html.count("<th>") + html.count("<td>")
    assert cells == ((1 + len(findings.phases)) * (1 + len(findings.arms)) if findings.phases else 0)
    assert not {"script", "img", "a"} & _rendered(markdown(findings)).tags


def test_metrics_are_lines_of_name_unit_value_range(tmp_path: Path) -> None:
    """Each figure of the table is a line that a benchmark action charts; what was not measured is none."""
    findings = samples.default()
    write_metrics(findings, tmp_path / "metrics.jsonl")
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all({"name", "unit", "value", "range"} <= line.keys() for line in found)
    assert len({line["name"] for line in found}) == len(found)
    (rate,) = (line for line in found if line["name"] == "default · socket_kill · plain · broken-pipe rate")
    cell = findings.cell("plain", "socket_kill")
    assert cell.broken_pipe_rate is not None
    assert (rate["unit"], rate["value"]) == ("%", pytest.approx(cell.broken_pipe_rate * 100))
    assert cell.ci95 is not None
    assert rate["range"] == f"{cell.ci95.low * 100:.4g}–{cell.ci95.high * 100:.4g}"
    write_metrics(samples.empty(), tmp_path / "metrics.jsonl")
    assert (tmp_path / "metrics.jsonl").read_text() == ""


@pytest.mark.parametrize("html", [True, False])
def test_every_file_is_written(tmp_path: Path, html: bool) -> None:
    """One call, every file, the page if asked; none has the ending that histories are found by."""
    read = "report.html" if html else "summary.json"
    assert write_report_files(samples.default(), tmp_path, html) == tmp_path / read
    assert {path.name for path in tmp_path.iterdir()} == {*WRITERS, read}
    assert not list(tmp_path.glob("*.ndjson"))
