"""A service that turns every error of its database into a 503 of its own."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "own_503"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestOwn503(Stranger):
    """Users see an apology, the log of the service nothing. The witness sees its requests and its pool."""

    must = (IS_TOLD,)
    must_not = (
        r"[Nn]othing broke in plain",
        NO_FAULT,
        r"after the response began",
    )

    def test_each_apology_is_a_failure(self, report: Report) -> None:
        """The status says so, whatever the service says; fewer of those who are looked after get one."""
        rates = {
            arm: report.total(arm, "failed", ["idle"]) / report.total(arm, "requests", ["idle"])
            for arm in report.arms
        }
        assert rates["plain"] > rates["checked"]
        assert [report.total(arm, "failed", ["steady"]) for arm in report.arms] == [0, 0]
