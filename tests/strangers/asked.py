"""Questions to every report of a stranger: does it say what it must, never what it must not, nothing without proof?"""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
from tests.strangers.claims import unproven
from tests.strangers.told import Report

NO_FAULT = r"(owed to|caused by) no fault"  # an acquittal, wrong wherever it is not known
# That the arm which helps and the control failed, how many of how many: beyond chance, or not.
IS_TOLD = r"\d of [\d,]+ (failed instead of|requests of \w+ failed and) \d[\d,]* of [\d,]+"
NO_GRAMMAR = (r" · _", r"\b1 (broken |failed )?requests\b(?!/)", r"\b0 checks undecided")


class Stranger:
    """A test class of one service; what is true of it alone stands in tests of its own.

    Several share a run, as its arms. `must` and `must_not` are patterns, looked for in all that terminal and page say,
    which is one line.
    """

    pytestmark: ClassVar = pytest.mark.low_load

    must: ClassVar[tuple[str, ...]] = ()
    must_not: ClassVar[tuple[str, ...]] = ()

    def test_it_says_what_it_must(self, report: Report) -> None:
        """Each sentence that a reader needs is there."""
        missing = [pattern for pattern in self.must if not re.search(pattern, report.text)]
        assert not missing, report.live

    def test_it_never_says_what_it_must_not(self, report: Report) -> None:
        """None of the sentences is there that would be wrong about this service."""
        said = [
            match[0]
            for pattern in (*self.must_not, *NO_GRAMMAR)
            if (match := re.search(pattern, report.text))
        ]
        assert not said, report.live


class SecondQuestion:
    """Asked once of every report, whatever services are in it."""

    pytestmark: ClassVar = pytest.mark.low_load

    def test_no_sentence_claims_what_the_history_does_not_prove(self, report: Report) -> None:
        """Each rule of `claims` is silent."""
        assert not unproven(report), report.live
