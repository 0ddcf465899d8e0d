"""What failed, and how many."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.strangers.counting import NUMBER, failed_in_all, integer, is_unexplained, known, places
from tests.strangers.told import Report, plain

_BOTH_FAILED = re.compile(
    rf"{NUMBER} of {NUMBER} (?:failed instead of|requests of [\w-]+ failed and) {NUMBER} of {NUMBER}"
)


def counts_are_the_loads(report: Report) -> Iterator[str]:
    """As many requests are said to have been asked, and to have failed, as the load wrote down."""
    for arm, phase, cell in report.cells():
        asked, failed = len(report.history.counted(arm, phase)), len(report.history.failed(arm, phase))
        if (cell["requests"], cell["failed"]) != (asked, failed):
            said = f"{cell['failed']} of {cell['requests']} failed"
            yield f"{arm} in {phase}: {said}, and the load saw {failed} of {asked}"


def nothing_means_nothing(report: Report) -> Iterator[str]:
    """“Nothing broke in X”, or failed: every request of X succeeded, or the headline counts those that did not."""
    for match in re.finditer(r"[Nn]othing (?:broke|failed) in (\w+)", report.summary["sentence"]):
        failed = failed_in_all(report, match[1])
        if failed and not re.search(rf"\b{failed}\b", report.summary["sentence"]):
            yield f"“{report.summary['sentence']}”, and {failed} requests of {match[1]} failed"


def broken_is_failed(report: Report) -> Iterator[str]:
    """No more requests are called broken than have failed, and no more stale or in use than broken."""
    for arm, phase, cell in report.cells():
        failed = len(report.history.failed(arm, phase))
        broken, states = cell["broken"], sum(cell[each] or 0 for each in ("stale", "in_use", "elsewhere"))
        most = failed if broken is None else min(broken, failed)
        if (broken or 0) > failed or states > most:
            yield f"{arm} in {phase}: {broken} broken, {states} of them somewhere, and {failed} failed"


def live_line_counts_those_who_wait(report: Report) -> Iterator[str]:
    """A line printed while the run goes on does not say that none failed while requests hang that then fail."""
    for line in re.findall(r"^.*\bended: .*$", report.live, re.MULTILINE):
        phase = re.sub(r"^\[[^]]*\]\s*", "", line).split(" ")[0]
        for arm in re.findall(r"[ :,]([\w-]+) 0 of [\d,]+ failed", line):
            hung = [each for each in known(report, arm, phase) if each.failed]
            if hung and not re.search(r"under way|wait|hang", line):
                yield f"“{plain(line)}”, and {len(hung)} requests of {arm} failed"


def unknown_rate_is_not_none(report: Report) -> Iterator[str]:
    """Where a request failed and nobody told why, no rate of broken requests is printed: it is not known."""
    for arm, phase, cell in report.cells():
        silent = sum(is_unexplained(report, each) for each in report.history.failed(arm, phase))
        if silent and cell["broken_pipe_rate"] is not None:
            rate = cell["broken_pipe_rate"]
            yield f"{arm} in {phase}: a rate of {rate:.1%}, and of {silent} failed requests nobody knows why"


def other_is_known(report: Report) -> Iterator[str]:
    """The terminal counts as “other” only failures whose cause was told: what is not known has a place of its own."""
    for phase, arm, texts in report.printed_table():
        asked = known(report, arm, phase)
        other = integer(texts["other"]) if texts.get("other", "").isdigit() else 0
        told = sum(each.failed and not is_unexplained(report, each) for each in asked)
        if other > told:
            yield f"{arm} in {phase}: {other} “other”, and of {told} failed requests the cause was told"


def headline_counts_what_failed(report: Report) -> Iterator[str]:
    """“A of N failed instead of B of M”, or “and B of M”: so many of the control's failed under a fault."""
    control = report.summary["control"]
    for match in _BOTH_FAILED.finditer(report.text):
        said = integer(match[3]), integer(match[4])
        phases = [phase for arm, phase in places(report) if arm == control and report.fault(phase)]
        seen = tuple(
            sum(len(of(control, p)) for p in phases) for of in (report.history.failed, report.history.counted)
        )
        if said != seen:
            yield f"“{match[0]}”, and of {control} {seen[0]} of {seen[1]} failed"


def passed_checks_hold(report: Report) -> Iterator[str]:
    """A check that no request may fail has passed only if none did."""
    for check in report.summary["checks"]:
        if (check["metric"], check["verdict"]) != ("failed", "pass") or check["bound"] != "exactly 0":
            continue
        failed = len(report.history.failed(check["arm"], check["phase"]))
        if failed:
            yield f"“{check['text']}” passed, and {failed} failed"


def lost_is_missing(report: Report) -> Iterator[str]:
    """As many acknowledged writes are lost as the database did not hold in the end, and a loss is no pass."""
    for arm, whole in report.arms.items():
        total = (whole.get("ledger") or {}).get("total")
        if total is None:
            continue
        held = {
            each["key"] for each in report.history.of("entry") if each["arm"] == arm and each["edge"] == "end"
        }
        missing = report.history.acknowledged(arm) - held
        if total["lost"] != len(missing):
            yield f"{arm} lost {total['lost']} acknowledged writes, and {len(missing)} are missing"
        if missing and report.summary["verdict"] == "pass":
            yield f"pass, and {len(missing)} acknowledged writes of {arm} are missing"
