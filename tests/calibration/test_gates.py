"""Gates of runs that are drawn: how often one fails without a change, and how surely a change is seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.calibration.simulated_episodes import MODELS, episodes

from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.stats.one_sided import rise_p
from brokenpipe.measure.stats.paired import holm
from brokenpipe.measure.stats.two_sample import Sample

PROMISED = 200  # gates drawn
DEALT = 399


def _gate(draw: np.random.Generator, model: str, begins: bool = False) -> dict[str, float]:
    """The corrected p of each of four arms that did not change. `begins`: but the first of them never broke before."""
    base, new = (episodes(model, draw, (4, 12)) for _ in range(2))
    if begins:
        base[0][0] = 0
    ps = {}
    for arm in range(4):
        one, other = (Sample(tuple(run[0][arm]), tuple(run[1][arm])) for run in (base, new))
        p = rise_p(one, other, tolerated=0.0, permutations=DEALT)
        if p is not None:
            ps[str(arm)] = p
    return holm(ps)


@pytest.mark.parametrize("model", MODELS)
def test_no_change_hardly_ever_fails(model: str) -> None:
    """Of two hundred gates without any change and without any tolerance 5 of 100 fail at most, all arms together."""
    draw = np.random.default_rng(5)
    false = sum(min(_gate(draw, model).values(), default=1) <= ERROR for _ in range(PROMISED))
    assert false <= stats.binom.ppf(0.999, PROMISED, ERROR), f"{false} of {PROMISED}"


def test_more_episodes_in_one_run_make_no_false_alarm() -> None:
    """A short run against a long one, at the very edge of what is tolerated: still 5 of 100 at most."""
    draw = np.random.default_rng(6)
    false = 0
    for _ in range(PROMISED):
        base, new = episodes("in_use", draw, (1, 12)), episodes("in_use", draw, (1, 60))
        worse = Sample(tuple(new[0][0] * 1.5), tuple(new[1][0]))
        p = rise_p(Sample(tuple(base[0][0]), tuple(base[1][0])), worse, tolerated=0.5, permutations=DEALT)
        false += p is not None and p <= ERROR
    assert false <= stats.binom.ppf(0.999, PROMISED, ERROR), f"{false} of {PROMISED}"


@pytest.mark.parametrize("model", ["in_use", "many", "one", "all"])
def test_what_begins_to_break_is_seen(model: str) -> None:
    """Twelve strikes see, in nine of ten gates, that one of four arms breaks which never did before."""
    draw = np.random.default_rng(7)
    seen = sum(_gate(draw, model, begins=True)["0"] <= ERROR for _ in range(PROMISED))
    assert seen / PROMISED > 0.9, seen
