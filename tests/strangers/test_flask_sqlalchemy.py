"""Flask and psycopg2 in threads of gunicorn: nobody sees a request, and the difference is plain all the same."""

from __future__ import annotations

from tests.strangers.asked import IS_TOLD, NO_FAULT, Stranger
from tests.strangers.told import Report


class TestFlask(Stranger):
    """SQLAlchemy's pool is known to the witness, the requests of a WSGI server are not."""

    name = "flask_sqlalchemy"
    must = (IS_TOLD, r"[Nn]ot known|[Uu]nknown|[Cc]annot be (told|determined)")
    must_not = (r"not a disconnect", NO_FAULT, r"[Nn]othing broke in plain", r"no witness")

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """Connections died while nobody asked: with a ping no request meets one."""
        assert report.total("plain", "failed", ["kills"]) >= 4
        assert report.total("pre_ping", "failed") == report.total("plain", "failed", ["steady"]) == 0
