"""An event loop that stands still while a request waits: its limit runs out, and the wire had nothing to do with it."""

from __future__ import annotations

from tests.strangers.asked import SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "standing_loop"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestStandingLoop(Stranger):
    """A limit of 0.6 s around the database, a round trip of 0.15 s, and work of 0.8 s in the loop or beside it."""

    must = (r"event loop",)
    must_not = (r"[Cc]aused by latency", r"\d+ direct,? .{0,40}latency")

    def test_the_wire_alone_breaks_nothing(self, report: Report) -> None:
        """With the same work in a thread and the same latency no limit runs out."""
        assert report.total("thread", "failed") == 0

    def test_nothing_is_owed_to_the_latency(self, report: Report) -> None:
        """What fails in the arm whose loop stands still is not the latency's."""
        cell = report.arms["loop"]["phases"]["latency"]
        assert (cell["owed"] or {}).get("direct", 0) == 0
