"""`junit.xml`: what every CI server can read. A test case is one check; a failure failed, an error is unknown.

What makes the whole run doubtful is a test case of its own, so that a file without failures and errors is a pass and
nothing else is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from brokenpipe import atomic_write
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.report import texts

_RESULT_TYPES = {Verdict.FAIL: Failure, Verdict.UNKNOWN: Error}


def junit(findings: Findings) -> JUnitXml:
    """One suite for what the scenario expects, one for the baseline if there is one, one for the instrument."""
    whole = JUnitXml("brokenpipe")
    expected = [check for check in findings.checks if check.baseline is None]
    held = [check for check in findings.checks if check.baseline is not None]
    for name, checks in (("expectations", expected), ("baseline", held)):
        if checks:
            whole.add_testsuite(_suite(findings, name, (_check(check, findings) for check in checks)))
    whole.add_testsuite(_suite(findings, "instrument", _instrument(findings)))
    return whole


def _suite(findings: Findings, name: str, cases: Iterator[TestCase]) -> TestSuite:
    suite = TestSuite(texts.to_one_line(f"{findings.stem} {name}"))
    suite.timestamp = findings.started.removesuffix("Z")  # the schema knows no time zone; it is UTC
    for key, value in (("target", findings.target), ("seed", findings.seed), ("command", findings.command)):
        suite.add_property(key, texts.to_one_line(str(value)))
    suite.add_testcases(list(cases))
    return suite


def _check(check: Check, findings: Findings) -> TestCase:
    said = [check.text]
    if check.verdict is Verdict.UNKNOWN:
        said += texts.run_wide_warnings(findings)
    # A bound against a baseline moves with it, and a server follows a test case by its name.
    name = f"{check.arm}: {check.metric}" + (f" {check.bound}" if check.baseline is None else "")
    return _case(findings, check.phase, name, check.verdict, *said)


def _instrument(findings: Findings) -> Iterator[TestCase]:
    doubts = [texts.describe_warning(warning) for warning in findings.warnings if warning.unknown]
    yield _case(findings, "run", "can be trusted", Verdict.UNKNOWN if doubts else Verdict.PASS, *doubts)
    unfinished = texts.describe_early_end(findings)
    reached = Verdict.UNKNOWN if unfinished else Verdict.PASS
    yield _case(findings, "run", "reached its end", reached, *filter(None, [unfinished]))


def _case(findings: Findings, group: str, name: str, verdict: Verdict, *said: str) -> TestCase:
    case = TestCase(texts.to_one_line(name), texts.to_one_line(f"brokenpipe.{findings.stem}.{group}"))
    if verdict in _RESULT_TYPES:
        lines = [texts.to_one_line(text) for text in said]
        result = _RESULT_TYPES[verdict](lines[0], verdict.value)
        result.text = "\n".join([*lines, f"Repeat it with: {texts.to_one_line(findings.command)}"])
        case.result = result
    return case


def write_junit(findings: Findings, path: Path) -> None:
    """Write it in one step. Raises OSError when it cannot be written."""
    text = io.BytesIO()
    junit(findings).write(text, pretty=True)
    atomic_write.write_text(path, text.getvalue().decode())
