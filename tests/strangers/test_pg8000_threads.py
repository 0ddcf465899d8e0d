"""pg8000, a driver in Python alone, in threads of gunicorn."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, Stranger
from tests.strangers.told import Report


class TestPg8000(Stranger):
    """Its word for a dead connection is its own: network error."""

    name = "pg8000_threads"
    must = (IS_TOLD,)
    must_not = (r"application error", r"not a disconnect", NO_FAULT, r"[Nn]othing (broke|failed) in plain")

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """As with any other driver."""
        assert report.total("plain", "failed", ["kills"]) >= 4
        assert report.total("pre_ping", "failed") == report.total("plain", "failed", ["steady"]) == 0
