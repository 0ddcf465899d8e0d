"""`summary.md`: the run on a page of a CI job. Figures first, then what did not pass, then how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from brokenpipe import atomic_write, formatting
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report import texts
from brokenpipe.report.run import table

_SPECIAL = re.compile(r"([\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w))")
_BLOCK_MARKER = re.compile(r"^(\d*)([#+\-.)]+)(?=\s|$)")  # a heading, a list


def escape_markdown(text: str) -> str:
    """Write any text on one line, so that Markdown shows it as it is: no markup, no table cell, no link."""
    found = _SPECIAL.sub(r"\\\1", texts.to_one_line(text)).replace("://", ":\\//")
    return _BLOCK_MARKER.sub(r"\1\\\2", found)


def markdown(findings: Findings) -> str:
    """Write the whole page as text."""
    return "\n".join(_lines(findings)) + "\n"


def _lines(findings: Findings) -> Iterator[str]:
    verdict = findings.verdict
    yield f"## {texts.MARK[verdict]} {verdict.value}: {escape_markdown(findings.title)}"
    yield from ("", escape_markdown(findings.question), "", escape_markdown(findings.sentence))
    yield from _table(findings)
    yield from _coverage_lines(findings)
    yield from _checks(findings)
    yield from _doubts(findings)
    yield from ("", "Repeat it with:", "", f"    {texts.to_one_line(findings.command)}")
    yield from ("", f"{findings.started}, {texts.describe_size(findings)}, seed {findings.seed}")


def _table(findings: Findings) -> Iterator[str]:
    """Arms × phases: the broken-pipe rate with its interval, and the 95th percentile of what succeeded."""
    if not findings.phases:
        return
    yield from (
        "",
        "Broken-pipe rate with its 95 % interval, and the 95th percentile of successful requests:",
        "",
    )
    yield _row("arm", *(f"{phase.name}: {texts.describe_fault(phase)}" for phase in findings.phases))
    yield "|---" * (len(findings.phases) + 1) + "|"
    for arm in findings.arms:
        cells = (findings.cells.get((arm, phase.name)) for phase in findings.phases)
        yield _row(arm + (" (control)" if arm == findings.control else ""), *map(_cell_text, cells))
    for phase in findings.phases:
        if renewed := texts.describe_renewals(phase):
            yield from ("", f"{escape_markdown(phase.name)}: {renewed}.")


def _coverage_lines(findings: Findings) -> Iterator[str]:
    """What the witness saw, if it did not see everything of every arm."""
    if any(texts.describe_missing_coverage(findings, arm) for arm in findings.arms):
        yield ""
        yield from (
            f"- {escape_markdown(', '.join(arms))}: {escape_markdown(said)}"
            for said, arms in texts.describe_coverage(findings)
        )


def _row(*values: str) -> str:
    return "| " + " | ".join(escape_markdown(value) for value in values) + " |"


def _cell_text(cell: ArmPhaseStats | None) -> str:
    if cell is None or cell.requests == 0:
        return formatting.NOTHING
    interval = formatting.percent_interval(cell.ci95)
    rate = formatting.percent(cell.broken_pipe_rate) + (f" ({interval})" if interval else "")
    unknown = f", {table.describe_unexplained(cell)}" if cell.unexplained else ""
    return formatting.plain(f"{rate}{unknown}, {formatting.milliseconds(cell.latency_ms.p95)}")


def _checks(findings: Findings) -> Iterator[str]:
    yield from ("", f"### Checks: {texts.describe_checks(findings)}", "")
    if findings.baseline:
        yield from (f"Compared with {escape_markdown(findings.baseline)}.", "")
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
        for check in findings.checks:
            if check.verdict is verdict:
                yield f"- {texts.MARK[verdict]} **{verdict.value}** {escape_markdown(formatting.plain(check.text))}"
    passed = [check for check in findings.checks if check.verdict is Verdict.PASS]
    if passed:
        yield from ("", f"<details><summary>{formatting.plural(len(passed), 'check')} passed</summary>", "")
        yield from (
            f"- {texts.MARK[Verdict.PASS]} {escape_markdown(formatting.plain(check.text))}"
            for check in passed
        )
        yield from ("", "</details>")


def _doubts(findings: Findings) -> Iterator[str]:
    unfinished = texts.describe_early_end(findings)
    if unfinished:
        yield from ("", f"**{escape_markdown(unfinished)}**")
    if findings.warnings:
        yield from ("", "### In doubt", "")
    for warning, likewise in texts.group_equal_warnings(findings.warnings):
        kind = "**in doubt:**" if warning.unknown else "note:"
        yield f"- {kind} {escape_markdown(texts.describe_warning(warning, likewise))}"


def write_markdown(findings: Findings, path: Path) -> None:
    """Write `summary.md` in one step. Raises OSError when it cannot be written."""
    atomic_write.write_text(path, markdown(findings))
