"""A balancer inside the service that forgets connections at rest and resets the next byte on them."""

from __future__ import annotations

from tests.strangers.asked import SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "forgetful_relay"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestForgetfulRelay(Stranger):
    """The kernel holds a forgotten connection for alive until somebody speaks on it."""

    must = (r"first use after",)
    must_not = (r"\d by neither", r"[Nn]either pre-ping nor recycle")

    def test_pre_ping_helps(self, report: Report) -> None:
        """It meets every forgotten connection in the place of a request."""
        assert report.total("plain", "failed", ["rest"]) >= 4
        assert report.total("pre_ping", "failed") == report.total("plain", "failed", ["steady"]) == 0

    def test_none_of_it_was_in_use(self, report: Report) -> None:
        """They were dead before they were lent, as the arm with pre-ping proves."""
        assert report.total("plain", "in_use", ["rest"]) == 0
