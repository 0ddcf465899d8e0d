"""Warnings about phases without a fault that began before the service was warm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenpipe.formatting import milliseconds
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.plan.phases import Pattern
from brokenpipe.plan.scenario import Scenario

SLOWER = 1.5  # the first episode's median against the slowest of the others
SLOWER_MS = 10.0
OPENED = 3  # connections in the first episode, and how many times the most of any other

_MEDIANS = """
SELECT arm, list(p50 ORDER BY episode) FROM by_episode WHERE phase = ? AND successes >= 5 GROUP BY arm ORDER BY arm
"""
_OPENED = """
SELECT arm, list(opened ORDER BY n) FROM (
    SELECT w.arm AS arm, e.n AS n, count(c.t) AS opened
    FROM (SELECT DISTINCT witness_arm AS arm FROM connects) w CROSS JOIN episode_list e
    LEFT JOIN connects c ON c.witness_arm = w.arm AND c.t >= e.t0 AND c.t < e.t1
    WHERE e.phase = ? AND e.counts AND (e.arm IS NULL OR e.arm = w.arm) GROUP BY ALL
) GROUP BY arm ORDER BY arm
"""


def warm_up_warnings(history: History, scenario: Scenario, begun: Sequence[str]) -> Iterator[ValidityWarning]:
    """One for each arm and calm phase that was not warm yet."""
    for name in begun:
        phase = scenario.phase(name)
        if phase.fault is not None or phase.pattern is not Pattern.BLOCKS:
            continue
        for arm, medians in history.rows(_MEDIANS, (name,)):
            first, *others = medians
            if len(others) >= 2 and first > SLOWER * max(others) and first > SLOWER_MS + max(others):
                text = (
                    f"{arm}'s median was {milliseconds(first)} in the first episode of {name}, and "
                    f"{milliseconds(max(others))} at most in the others"
                )
                yield ValidityWarning.of(Code.WARM_UP_SHORT, text, phase=name, arm=arm)
        for arm, opened in history.rows(_OPENED, (name,)):
            first, *others = opened
            if len(others) >= 2 and first >= OPENED and first > OPENED * max(others):
                text = f"{arm} opened {first} connections in the first episode of {name}, {max(others)} at most later"
                yield ValidityWarning.of(Code.WARM_UP_SHORT, text, phase=name, arm=arm)
