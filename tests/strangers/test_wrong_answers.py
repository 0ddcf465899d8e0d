"""A service whose answers belong to other questions: nothing breaks in it, and much is wrong."""

from __future__ import annotations

from tests.strangers.asked import NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "wrong_answers"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestWrongAnswers(Stranger):
    """Only who asks can tell, and the locustfile does."""

    must = (r"[Ww]rong results",)
    must_not = (
        r"[Nn]othing broke in mixes_up, so there was nothing",
        NO_FAULT,
    )

    def test_wrong_answers_are_failures(self, report: Report) -> None:
        """Of the one arm that mixes up its answers."""
        wrong = report.total("mixes_up", "wrong_results", ["steady"])
        assert wrong == report.total("mixes_up", "failed", ["steady"]) > 5
        assert report.total("keeps", "wrong_results") == report.total("keeps", "failed", ["steady"]) == 0
