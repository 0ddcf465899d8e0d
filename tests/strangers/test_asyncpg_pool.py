"""asyncpg's own pool, and connections that are killed while they are used."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, Stranger
from tests.strangers.told import Report


class TestAsyncpgPool(Stranger):
    """No setting of the pool helps, a second attempt does."""

    name = "asyncpg_pool"
    must = (IS_TOLD,)
    must_not = (NO_FAULT, r"not a disconnect", r"[Nn]othing broke in once", r"no witness")

    def test_asking_again_fails_less(self, report: Report) -> None:
        """Strikes hit transactions; a second attempt may meet a second dead connection."""
        assert report.total("once", "failed", ["kills"]) > report.total("again", "failed", ["kills"])
        assert [report.total(arm, "failed", ["steady"]) for arm in report.arms] == [0, 0]
