"""Connections that are killed while they are used: asyncpg's own pool, psqlpy's, and one connection for everybody."""

from __future__ import annotations

import pytest
from tests.strangers.asked import IS_TOLD, NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "under_load"


class TestSecondQuestion(SecondQuestion):
    """Of all three."""


class TestAsyncpgPool(Stranger):
    """No setting of the pool helps, a second attempt does."""

    must = (IS_TOLD,)
    must_not = (NO_FAULT, r"[Nn]othing broke in asyncpg_once", r"no witness")

    def test_asking_again_fails_less(self, report: Report) -> None:
        """Strikes hit transactions; a second attempt may meet a second dead connection."""
        once, again = (report.total(f"asyncpg_{arm}", "failed", ["kills"]) for arm in ("once", "again"))
        assert once > again


class TestPsqlpy(Stranger):
    """A driver in Rust, whose words for a dead connection are its own: connection closed."""

    must_not = (r"application error", r"[Nn]othing broke in psqlpy_once")

    def test_asking_again_fails_less(self, report: Report) -> None:
        """Strikes hit what is between two statements; a second attempt may meet a second dead connection."""
        once, again = (report.total(f"psqlpy_{arm}", "failed", ["kills"]) for arm in ("once", "again"))
        assert once > again


class TestLoneWriter(Stranger):
    """A writer with one connection: one arm opens it again, the other never answers another request."""

    must = (r"[Nn]ever recovered",)
    must_not = (r"nothing broke in \d",)

    def test_one_never_recovers(self, report: Report) -> None:
        """From the first strike on every request of it fails; of the other only those under way."""
        failed, asked = (report.total("for_ever", figure, ["kills"]) for figure in ("failed", "requests"))
        assert failed > 0.5 * asked
        assert report.total("reconnect", "failed", ["kills"]) < 0.2 * report.total(
            "reconnect", "requests", ["kills"]
        )
        assert report.arms["for_ever"]["phases"]["kills"]["never_recovered"]


@pytest.mark.low_load
def test_all_are_whole_before_the_first_strike(report: Report) -> None:
    """The harness ends no connection of its own accord."""
    assert {arm: report.total(arm, "failed", ["steady"]) for arm in report.arms} == dict.fromkeys(
        report.arms, 0
    )
