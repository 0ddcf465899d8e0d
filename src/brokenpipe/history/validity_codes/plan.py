"""Doubts about what was asked for: expectations, episodes, a baseline."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.kind import Code, DoubtKind

FEWEST_EPISODES = 6  # with five, the smallest two-sided p of a sign-flip test is 2 / 2^5 = 0.06

PLAN: Mapping[Code, DoubtKind] = {
    Code.NOTHING_EXPECTED: DoubtKind(
        "the scenario expects nothing, so nothing can pass",
        "unknown",
        "Add an [[expect]] to the scenario.",
        stands="counts",
    ),
    Code.FEW_EPISODES: DoubtKind(
        "an expectation that is decided on an interval rests on fewer than six episodes, too few to show a difference",
        "note",
        "Raise episodes, or seconds: a block of 2 s is an episode. Twelve are a good number.",
    ),
    Code.TOO_FEW_TO_COMPARE: DoubtKind(
        "arms broke different shares in a phase with so few episodes that no difference can be told from chance",
        "note",
        "Give the phase more episodes, or compare fewer arms (--only).",
    ),
    Code.WARM_UP_SHORT: DoubtKind(
        "the first episode of a calm phase was unlike the others: much slower, or pools were still being filled",
        "note",
        "Put a phase that nothing is expected of first, or make this one longer.",
    ),
    Code.BASELINE_IN_DOUBT: DoubtKind(
        "the run was held against a baseline that has an unknown of this list itself",
        "unknown",
        "Record a baseline without doubts, and hold this run against that: `brokenpipe report RUN --baseline …`.",
        stands="counts",
    ),
    Code.BASELINE_NOT_COVERED: DoubtKind(
        "something of the run could not be held against the baseline, and no check is about it",
        "note",
        "Record a new baseline on this machine, with enough episodes, if that is to be gated, too.",
    ),
}
