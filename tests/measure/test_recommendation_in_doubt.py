"""A recommendation in doubt: what the episodes show is said, and nobody is to act on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.measure.test_recommendation import STALE, _best, _kill, _struck
from tests.unit.plans import KILL, scenario

from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.measure.verdict.headline import with_doubt


def test_in_an_unknown_run_nothing_is_recommended(tmp_path: Path) -> None:
    """What the episodes show stands in the sentence, in doubt; nobody is to act on it."""
    with Recorded(tmp_path, scenario({**KILL, "episodes": 8})) as run:
        _struck(run, "kill", {"plain": [2] * 8, "pre_ping": [0] * 8}, STALE)
        run.finish("interrupted")
    found = run.measured()
    assert found.verdict is Verdict.UNKNOWN
    assert found.sentence.startswith("In doubt: pre_ping prevents")
    assert _best(found).beyond_chance
    assert not _best(found).is_recommended


_NOTE = ValidityWarning.of(Code.MACHINE_BUSY, "busy")
_DOUBT = replace(_NOTE, unknown=True)


@pytest.mark.parametrize(
    ("verdict", "warnings", "doubted"),
    [
        (Verdict.PASS, (), False),
        (Verdict.FAIL, (), False),
        (Verdict.UNKNOWN, (), True),
        (Verdict.FAIL, (_DOUBT,), True),
        (Verdict.PASS, (_NOTE,), False),
    ],
)
def test_what_puts_a_recommendation_in_doubt(
    tmp_path: Path, verdict: Verdict, warnings: tuple[ValidityWarning, ...], doubted: bool
) -> None:
    """An open check does, and whatever makes anything unknown, even if a failed check decides; a note does not."""
    found = _kill(tmp_path, {"plain": [2] * 8, "pre_ping": [0] * 8}, STALE)
    best = with_doubt(replace(_best(found), in_doubt=False), verdict, warnings)
    assert best is not None
    assert best.in_doubt is doubted
    assert best.is_recommended is not doubted
