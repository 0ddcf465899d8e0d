"""Flask, Django and a forked pool in threads of gunicorn, and a server of its own, of which nobody sees a request.

The run has eight arms, the most that one looks at in one table: what eight arms have to show is asked of it, too.
"""

from __future__ import annotations

from typing import ClassVar

import pytest
from tests.strangers.asked import IS_TOLD, NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "threads"
UNKNOWN = r"[Nn]ot known|[Uu]nknown|[Cc]annot be (told|determined)"


class TestSecondQuestion(SecondQuestion):
    """Of all four."""


class TestFlask(Stranger):
    """Under WSGI, too, a request is followed into SQLAlchemy's pool."""

    must = (IS_TOLD,)
    must_not = (NO_FAULT, r"[Nn]othing broke in flask", r"no witness")

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """Connections died while nobody asked: with a ping no request meets one."""
        assert report.total("flask", "failed", ["kills"]) >= 4
        assert report.total("flask_pre_ping", "failed", ["steady", "kills"]) == 0
        assert report.total("flask", "failed", ["steady"]) == 0

    def test_what_broke_is_known(self, report: Report) -> None:
        """Flask answers for the exception itself, and it is known all the same: each failure was a stale connection."""
        assert report.arms["flask"]["witness"]["seen"] == "requests and pools"
        kills = report.arms["flask"]["phases"]["kills"]
        assert kills["broken"] == kills["failed"] == kills["stale"] >= 4
        assert report.arms["flask_pre_ping"]["phases"]["kills"]["masked"] >= 4


class TestPg8000(Stranger):
    """A server of its own, neither ASGI nor WSGI, on a driver in Python alone."""

    must = (UNKNOWN, r"pg8000\w*: the witness saw its pool, but none of its requests")
    must_not = (r"application error", r"[Nn]othing (broke|failed) in pg8000")

    def test_only_the_arm_without_a_ping_fails(self, report: Report) -> None:
        """As with any other driver."""
        assert report.total("pg8000", "failed", ["kills"]) >= 4
        assert report.total("pg8000_pre_ping", "failed", ["steady", "kills"]) == 0
        assert report.total("pg8000", "failed", ["steady"]) == 0

    def test_what_broke_is_not_known(self, report: Report) -> None:
        """Nobody saw its requests: the count is none, and not zero."""
        assert report.arms["pg8000"]["witness"]["seen"] == "pools only"
        assert report.arms["pg8000"]["phases"]["kills"]["broken"] is None


class TestDjango(Stranger):
    """A thread keeps its connection for a minute, and looks at it before it is used, or does not."""

    must_not = (r"[Nn]othing broke in django", r"after the response began")

    def test_only_the_arm_without_checks_fails(self, report: Report) -> None:
        """Health checks find every connection that an idle limit had ended."""
        assert report.total("django", "failed", ["idle"]) >= 4
        assert report.total("django_checks", "failed", ["steady", "idle"]) == 0
        assert report.total("django", "failed", ["steady"]) == 0

    def test_what_broke_is_known(self, report: Report) -> None:
        """Django answers for the exception itself, and it is known all the same: a connection had ended each time."""
        idle = report.arms["django"]["phases"]["idle"]
        assert idle["broken"] == idle["failed"]


class TestPreloadedPool(Stranger):
    """A pool that was opened before gunicorn forked: whole until something breaks, and then for good not."""

    must = (r"[Nn]ever recovered",)
    must_not = (r"nothing broke in \d",)

    def test_nothing_fails_before_the_first_strike(self, report: Report) -> None:
        """Nobody ends its connections while the scenario has no fault, although this service could mend nothing."""
        assert [report.total(arm, "failed", ["steady"]) for arm in ("forked", "worker")] == [0, 0]

    def test_after_it_everything_fails(self, report: Report) -> None:
        """The forked pool has no thread that would connect again, the other has."""
        failed = {arm: report.total(arm, "failed", ["kills"]) for arm in ("forked", "worker")}
        assert failed["forked"] == report.total("forked", "requests", ["kills"]) > 0
        assert failed["worker"] < report.total("worker", "requests", ["kills"])


class TestEightArms:
    """Each has its own service, proxy, database and users."""

    pytestmark: ClassVar = pytest.mark.low_load

    def test_each_is_asked(self, report: Report) -> None:
        """In the steady phase all are answered, and in the first phase of strikes nobody is forgotten."""
        assert len(report.arms) == 8
        for arm in report.arms:
            assert report.total(arm, "requests", ["steady"]) > 5
            assert report.total(arm, "failed", ["steady"]) == 0
            assert report.total(arm, "requests", ["kills"]) > 5

    def test_the_health_of_all_is_told(self, report: Report) -> None:
        """Gauges of every process, and in the report a line of how busy it was."""
        gauged = {(each["role"], each["arm"]) for each in report.history.of("process")}
        others = {("harness", None), ("load", None), ("toxiproxy", None), ("postgres", None)}
        assert gauged == others | {("target", arm) for arm in report.arms}
        health = report.page.partition('id="health-title"')[2].partition("</section>")[0].lower()
        for who in ("load", "toxiproxy", "postgres", "machine", *report.arms):
            assert who in health, f"{who} is not in the health of the instrument"
