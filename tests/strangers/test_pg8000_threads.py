"""pg8000, a driver in Python alone, in threads of gunicorn: a pool that keeps what is dead."""

from __future__ import annotations

from tests.strangers.asked import NO_FAULT, Stranger
from tests.strangers.told import Report


class TestPg8000(Stranger):
    """Its word for a dead connection, network error, is none that SQLAlchemy takes for one: not even a ping helps."""

    name = "pg8000_threads"
    must = (r"[Nn]ever recovered",)
    must_not = (
        r"application error",
        r"not a disconnect",
        NO_FAULT,
        r"pre_ping prevents",
        r"nothing broke in \d",
    )

    def test_nothing_fails_before_the_first_reset(self, report: Report) -> None:
        """Of our own accord nothing is reset."""
        assert [report.total(arm, "failed", ["steady"]) for arm in report.arms] == [0, 0]

    def test_neither_arm_comes_back(self, report: Report) -> None:
        """What died stays in the pool, and is handed out again."""
        for arm in report.arms:
            assert report.total(arm, "failed", ["idle"]) > 0.7 * report.total(arm, "requests", ["idle"]) > 5
