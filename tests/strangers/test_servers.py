"""Granian and hypercorn, not the server that the witness was made for: connections die while nobody asks."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "servers"
AS_BEFORE = (r"not a disconnect", NO_FAULT, r"after the response began")


class TestSecondQuestion(SecondQuestion):
    """Of both."""


class TestGranian(Stranger):
    """Connections die while nobody asks; pre-ping spares every request of it."""

    must = (IS_TOLD,)
    must_not = (*AS_BEFORE, r"[Nn]othing broke in granian")

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """Whatever else is known of them, the failed requests are counted, and all are the control's."""
        assert report.total("granian", "failed", ["idle"]) >= 4
        assert report.total("granian_pre_ping", "failed", ["steady", "idle"]) == 0
        assert report.total("granian", "failed", ["steady"]) == 0


class TestHypercorn(Stranger):
    """The server ends its sessions while nobody asks; pre-ping spares every request of it."""

    must_not = (*AS_BEFORE, r"[Nn]othing broke in hypercorn")

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """Whatever else is known of them, the failed requests are counted, and all are the arm's without a ping."""
        assert report.total("hypercorn", "failed", ["ended"]) >= 4
        assert report.total("hypercorn_pre_ping", "failed", ["steady", "ended"]) == 0
        assert report.total("hypercorn", "failed", ["steady"]) == 0
