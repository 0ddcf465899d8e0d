"""A service that closes connections without an answer, asked by a client that would ask again by itself."""

from __future__ import annotations

from tests.strangers.asked import NO_FAULT, SecondQuestion, Stranger
from tests.strangers.told import Report

SCENARIO = "unheard"


class TestSecondQuestion(SecondQuestion):
    """Of it alone."""


class TestUnheard(Stranger):
    """Left alone, FastHttpUser sends a GET again when its kept connection is closed before an answer."""

    # The witness saw its requests and its pool: what its users did not hear was no end of a connection to the database.
    must_not = (NO_FAULT, r"[Nn]othing (broke|failed) in closes")

    def test_each_third_request_of_a_connection_failed(self, report: Report) -> None:
        """As many as the service left unheard; none was sent again and counted as a success."""
        failed, asked = (report.total("closes", figure) for figure in ("failed", "requests"))
        assert 0.25 < failed / asked < 0.4
        assert report.total("answers", "failed") == 0
