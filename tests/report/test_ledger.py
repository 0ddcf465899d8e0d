"""What page and terminal say about writes, and about errors that a service kept to itself."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from tests.report import samples
from tests.report.test_html import visible

from brokenpipe.measure.failures.error_classes import ChainedException
from brokenpipe.measure.model.findings import Findings, SwallowedErrors
from brokenpipe.measure.model.write_counts import WriteAudit, WriteCounts, WriteDiscrepancy
from brokenpipe.report.ci.summary import summary
from brokenpipe.report.run.html import render_html
from brokenpipe.report.terminal.terminal import result_lines

GOOD = WriteAudit("pre_ping", "", {"steady": WriteCounts(acknowledged=40, refused=1)}, 0, ())
BAD = WriteAudit(
    "plain",
    "",
    {
        "": WriteCounts(acknowledged=3),
        "socket_kill": WriteCounts(
            acknowledged=50, refused=4, unanswered=2, lost=7, unacknowledged=5, doubled=1
        ),
    },
    2,
    (
        WriteDiscrepancy("lost", "socket_kill", "<b>key</b>", "POST /memories", "AgentUser-3-17", 0),
        WriteDiscrepancy("never asked for", "", "stray", "", "", 1),
    ),
)
UNREAD = WriteAudit("recycle", "it could not be read after the last phase: <gone>", {}, 0, ())


def _found() -> Findings:
    books = {books.arm: books for books in (BAD, GOOD, UNREAD)}
    chain = (ChainedException(type="builtins.ConnectionResetError", text="<reset>", errno=104),)
    quiet = SwallowedErrors(
        "connection reset", "commit", {("plain", "socket_kill"): 6}, "plain", "POST /x", "User-9", 200, chain
    )
    return replace(samples.default(), ledger=books, swallowed=(quiet,))


def _terminal(found: Findings) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(result_lines(found, Path("report.html"), console))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_page_shows_what_became_of_the_writes() -> None:
    """Each arm and phase with its counts, what is wrong in words, and a request to look up."""
    text = visible(render_html(_found()))
    assert "plain socket_kill 50 4 2 7 5 1" in text
    assert "plain between phases 3 0 0 0 0 0" in text
    assert (
        "7 of 53 acknowledged writes missing, 1 committed more than once, 5 committed although the client "
        "got an error or no answer, 2 that no request asked for"
    ) in text
    assert "lost : the client was told that it is stored, and the database does not have it" in text
    assert "POST /memories, request AgentUser-3-17 in socket_kill: 0 times in the database" in text
    assert "every write is as its client was told" in text
    assert "Not known: it could not be read after the last phase: <gone>." in text


def test_the_page_shows_what_was_swallowed() -> None:
    """With its cause, where it was met, and an example whose answer was a success."""
    text = visible(render_html(_found()))
    assert "6 connection reset in commit plain 6 in socket_kill" in text
    assert "POST /x on plain, answered with 200, request User-9" in text


def test_the_terminal_speaks_of_writes_only_if_something_is_wrong() -> None:
    """A line for the arm that lost some, none for the one that did not."""
    said = _terminal(_found())
    assert "plain: 7 of 53 acknowledged writes missing" in said
    assert "pre_ping: " not in said
    assert "writes" not in _terminal(samples.default())


def test_a_target_without_a_ledger_has_no_such_section() -> None:
    """Neither a section for writes nor one for what was swallowed, where there is nothing of the kind."""
    text = visible(render_html(samples.default()))
    assert "What clients were told" not in text
    assert "Which errors did the service hide?" not in text


def test_a_program_reads_the_same() -> None:
    """summary.json has the counts by phase and for the whole arm, null where they are not known."""
    written = json.loads(json.dumps(summary(_found())))["arms"]
    assert written["plain"]["ledger"]["total"]["lost"] == 7
    assert written["plain"]["ledger"]["never_asked_for"] == 2
    assert written["plain"]["ledger"]["examples"][0]["request_id"] == "AgentUser-3-17"
    assert written["recycle"]["ledger"]["total"] is None
    assert "<gone>" in written["recycle"]["ledger"]["unread"]
    assert written["both"]["ledger"] is None
