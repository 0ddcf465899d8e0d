"""A service whose table nobody ever made: nothing can be learnt of its pool."""

from __future__ import annotations

from tests.strangers.asked import SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "no_table"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestNoTable(Stranger):
    """Every request fails, with or without a fault."""

    must = (r"service_broken", r'relation "orders" does not exist')
    must_not = (
        r"prevents",
        r"\bbest\b(?! effort)",
        r"ready to copy",
        r"[Cc]hance alone",
        r"more episodes would tell",
    )

    def test_nothing_is_decided(self, report: Report) -> None:
        """No check passes, no arm is recommended, and the doubt says why."""
        assert report.summary["verdict"] == "unknown"
        assert report.summary["best"] is None
        assert {check["verdict"] for check in report.summary["checks"]} <= {"unknown", "fail"}
        assert "service_broken" in {each["code"] for each in report.summary["warnings"]}

    def test_the_empty_database_is_named_before_the_first_phase(self, report: Report) -> None:
        """With the key that makes tables, while nothing has been measured yet."""
        said, phase = report.live.index("has no table: if the service needs one"), report.live.index("steady")
        assert said < phase
        assert "`prepare` in its target.toml" in report.live

    def test_it_ends_after_the_phase_without_a_fault(self, report: Report) -> None:
        """There is nothing to break any more."""
        assert set(report.arms["plain"]["phases"]) == {"steady"}
