"""SQLAlchemy behind hypercorn: another server than the one that the witness was made for."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, Stranger
from tests.strangers.told import Report


class TestHypercorn(Stranger):
    """Connections die while nobody asks; pre-ping spares every request of it."""

    name = "hypercorn_sqlalchemy"
    must = (IS_TOLD,)
    must_not = (
        r"not a disconnect",
        NO_FAULT,
        r"[Nn]othing broke in plain",
        r"after the response began",
    )

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """Whatever else is known of them, the failed requests are counted, and all are the control's."""
        assert report.total("plain", "failed", ["ended"]) >= 4
        assert report.total("pre_ping", "failed") == report.total("plain", "failed", ["steady"]) == 0
