"""psqlpy, a driver in Rust with a pool of its own, and connections that are killed while they are used."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, Stranger
from tests.strangers.told import Report


class TestPsqlpy(Stranger):
    """Its words for a dead connection are its own: connection closed."""

    name = "psqlpy_pool"
    must = (IS_TOLD,)
    must_not = (r"application error", r"not a disconnect", NO_FAULT, r"[Nn]othing broke in once")

    def test_asking_again_fails_less(self, report: Report) -> None:
        """Strikes hit what is between two statements; a second attempt may meet a second dead connection."""
        assert report.total("once", "failed", ["kills"]) > report.total("again", "failed", ["kills"])
        assert [report.total(arm, "failed", ["steady"]) for arm in report.arms] == [0, 0]
