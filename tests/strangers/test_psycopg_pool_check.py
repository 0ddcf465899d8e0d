"""psycopg's own pool and one user: what a strike costs is waiting, and no request fails of it."""

from __future__ import annotations

from tests.strangers.asked import NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "psycopg_pool_check"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestPsycopgPool(Stranger):
    """A pool that looks at its connections replaces dead ones, and backs off while it does."""

    must = (r"[Ll]ongest wait",)
    must_not = (NO_FAULT, r"not a disconnect", r"no request was started")

    def test_nothing_is_wrong_before_the_first_strike(self, report: Report) -> None:
        """One user is answered at once and all the time: the harness broke nothing of the pool's."""
        for arm in ("plain", "check"):
            assert len(report.history.counted(arm, "steady")) > 15
            assert report.total(arm, "failed", ["steady"]) == 0

    def test_looking_first_spares_the_user(self, report: Report) -> None:
        """Only the arm that lends connections unseen fails requests."""
        assert report.total("plain", "failed", ["kills"]) > 0
        assert report.total("check", "failed", ["kills"]) == 0
