"""Users who hang up while the service asks its pool: nothing dies of it, and nothing is kept quiet."""

from __future__ import annotations

from tests.strangers.asked import SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "left_alone"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestLeftAlone(Stranger):
    """A request that its user has left is cancelled in the middle of a ping, a statement or nothing at all."""

    must_not = (r"errors_swallowed", r"Which errors did the service hide", r"[1-9]\d* masked")

    def test_a_cancelled_ping_has_masked_nothing(self, report: Report) -> None:
        """No connection was dead, whatever became of it after its request was gone."""
        assert report.total("plain", "masked") == report.total("pre_ping", "masked") == 0

    def test_a_cancelled_request_has_swallowed_nothing(self, report: Report) -> None:
        """The database failed nobody."""
        assert report.total("plain", "swallowed") == report.total("pre_ping", "swallowed") == 0
