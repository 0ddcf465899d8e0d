"""Annotations of a GitHub job: workflow commands, a line each, that its page shows above the log.

A failed check is an error, an unknown one and a doubt are warnings. GitHub shows ten of each a step: the last says
how many more there are. The syntax is that of its "workflow commands"; what is escaped is what its runner unescapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.report import texts

SHOWN = 10


def workflow_commands(findings: Findings) -> Iterator[str]:
    """Errors, then warnings."""
    failed = [_annotation(check, findings) for check in findings.checks if check.verdict is Verdict.FAIL]
    open_ = [_annotation(check, findings) for check in findings.checks if check.verdict is Verdict.UNKNOWN]
    doubts = [
        ("in doubt", texts.describe_warning(*each))
        for each in texts.group_equal_warnings(findings.warnings)
        if each[0].unknown
    ]
    unfinished = [("unfinished", said)] if (said := texts.describe_early_end(findings)) else []
    yield from _commands("error", failed, findings)
    yield from _commands("warning", [*unfinished, *doubts, *open_], findings)


def _annotation(check: Check, findings: Findings) -> tuple[str, str]:
    repeat = f"Repeat it with: {texts.to_one_line(findings.command)}"
    return f"{check.verdict.value}, {check.phase}, {check.arm}", f"{texts.to_one_line(check.text)}\n{repeat}"


def _commands(command: str, said: Sequence[tuple[str, str]], findings: Findings) -> Iterator[str]:
    shown = said if len(said) <= SHOWN else said[: SHOWN - 1]
    for title, text in shown:
        yield f"::{command} title={_escape_property(f'{findings.stem}: {title}')}::{_escape_message(text)}"
    if len(shown) < len(said):
        more = f"{len(said) - len(shown)} more in the summary of this job and in junit.xml"
        yield f"::{command} title={_escape_property(findings.stem)}::{more}"


def _escape_message(text: str) -> str:
    lines = (texts.to_one_line(line).replace("%", "%25") for line in text.split("\n"))
    return "%0A".join(lines)


def _escape_property(text: str) -> str:
    return _escape_message(texts.to_one_line(text)).replace(":", "%3A").replace(",", "%2C")
