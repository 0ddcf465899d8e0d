"""A writer with one connection that gives up for ever when it dies."""

from __future__ import annotations

from tests.strangers.asked import NO_FAULT, Stranger
from tests.strangers.told import Report


class TestLoneWriter(Stranger):
    """One arm opens its connection again, the other never answers another request."""

    name = "lone_writer"
    must = (r"[Nn]ever recovered",)
    must_not = (NO_FAULT, r"not a disconnect", r"nothing broke in \d")

    def test_both_are_whole_before_the_first_strike(self, report: Report) -> None:
        """The harness ends no connection of its own accord."""
        assert [report.total(arm, "failed", ["steady"]) for arm in report.arms] == [0, 0]

    def test_one_never_recovers(self, report: Report) -> None:
        """From the first strike on every request of it fails; of the other only those under way."""
        failed, asked = (report.total("for_ever", figure, ["kills"]) for figure in ("failed", "requests"))
        assert failed > 0.5 * asked
        assert report.total("reconnect", "failed", ["kills"]) < 0.2 * report.total(
            "reconnect", "requests", ["kills"]
        )
        assert report.arms["for_ever"]["phases"]["kills"]["never_recovered"]
