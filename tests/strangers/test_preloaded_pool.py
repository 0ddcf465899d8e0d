"""A pool that was opened before gunicorn forked: whole until something breaks, and then for good not."""

from __future__ import annotations

from tests.strangers.asked import NO_FAULT, Stranger
from tests.strangers.told import Report


class TestPreloadedPool(Stranger):
    """What the scenario does not break stays whole, although this service could mend nothing."""

    name = "preloaded_pool"
    must = (r"[Nn]ever recovered",)
    must_not = (NO_FAULT, r"not a disconnect", r"nothing broke in \d")

    def test_nothing_fails_before_the_first_strike(self, report: Report) -> None:
        """Nobody ends its connections while the scenario has no fault."""
        assert (
            report.total("master", "failed", ["steady"]) == report.total("worker", "failed", ["steady"]) == 0
        )

    def test_after_it_everything_fails(self, report: Report) -> None:
        """The forked pool has no thread that would connect again, the other has."""
        failed = {arm: report.total(arm, "failed", ["kills"]) for arm in report.arms}
        assert failed["master"] == report.total("master", "requests", ["kills"]) > 0
        assert failed["worker"] < report.total("worker", "requests", ["kills"])
