"""What failures are laid at the door of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.strangers.counting import (
    NUMBER,
    failed_of,
    has_connection,
    integer,
    is_struck,
    is_unexplained,
    moments,
    was_dead_when_lent,
)
from tests.strangers.told import Report, shown

_GROUP = re.compile(r"<details>\s*<summary>\s*<b class=\"number\">(.*?)</details>", re.DOTALL)
_EXAMPLE = re.compile(r"request <code>([^<]*)</code>")
_CAUSE = re.compile(r'<span class="cause">([^<]*)</span>')


def no_fault_needs_a_connection(report: Report) -> Iterator[str]:
    """“No fault on record” acquits: of each such request a connection is known that no fault had touched."""
    for match in re.finditer(rf"Of the {NUMBER} failed requests? of (\w+),([^.]*)", report.text):
        found = re.search(rf"{NUMBER} (?:owed to|caused by) no fault", match[3])
        claimed = integer(found[1]) if found else 0
        seen = sum(has_connection(report, each) for each in failed_of(report, match[2]))
        if claimed > seen:
            yield f"{claimed} of {match[2]} owed to no fault, and of {seen} failed requests a connection is known"


def not_a_disconnect_needs_testimony(report: Report) -> Iterator[str]:
    """A group of failures is called “not a disconnect” only if the service told what it was."""
    for group in _GROUP.findall(report.page):
        example, cause = _EXAMPLE.search(group), _CAUSE.search(group)
        if "not a disconnect" not in group or not example or not cause:
            continue
        request = next(
            (each for each in report.history.requests if each.id == example[1] and each.failed), None
        )
        if request is not None and is_unexplained(report, request):
            yield f"“{shown(cause[1])}” is called “not a disconnect”, and nobody told what {example[1]} met"


def error_is_no_response(report: Report) -> Iterator[str]:
    """A failure is “after the response began” only if a response had begun: not by the status that tells of it."""
    for arm, phase, cell in report.cells():
        claimed = moments(cell).get("after the response began", 0)
        begun = sum(0 < each.status < 500 for each in report.history.failed(arm, phase))
        if claimed > begun:
            yield f"{arm} in {phase}: {claimed} after the response began, and {begun} had begun one"


def harness_owns_its_cuts(report: Report) -> Iterator[str]:
    """Connections that no act of the scenario ended were ended by the harness, and the report says that it did."""
    strikes = [act for act in report.history.of("act") if act["action"] == "inject"]
    cut = [link for link in report.history.of("link_cut") if link["arm"] in report.arms]
    ours = [link for link in cut if link["toxic"] == "kill_switch" and not is_struck(link, strikes)]
    if ours and not re.search(r"harness (renewed|ended|closed|cut)", report.text):
        yield f"the harness ended {len(ours)} connections, and no sentence says so"


def in_use_was_whole_when_lent(report: Report) -> Iterator[str]:
    """A connection died in use only if its link was whole as the pool handed it out."""
    for arm, phase, cell in report.cells():
        failed = report.history.failed(arm, phase)
        whole = sum(not was_dead_when_lent(report, each) for each in failed)
        if (cell["in_use"] or 0) > whole:
            yield f"{arm} in {phase}: {cell['in_use']} in use, and {whole} connections were whole when they were lent"
