"""Django's own connections: no pool that anybody knows, and a setting that helps."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, Stranger
from tests.strangers.told import Report


class TestDjango(Stranger):
    """A thread keeps its connection for a minute, and looks at it before it is used, or does not."""

    name = "django_orm"
    must = (IS_TOLD, r"[Nn]ot known|[Uu]nknown|[Cc]annot be (told|determined)")
    must_not = (
        r"not a disconnect",
        NO_FAULT,
        r"[Nn]othing broke in kept",
        r"after the response began",
    )

    def test_only_the_arm_without_checks_fails(self, report: Report) -> None:
        """Health checks find every connection that an idle limit had ended."""
        assert report.total("kept", "failed", ["idle"]) >= 4
        assert report.total("checked", "failed") == report.total("kept", "failed", ["steady"]) == 0
