"""Warnings about an experiment that was cut off and resumed."""

from __future__ import annotations

from collections.abc import Iterator

from brokenpipe.formatting import seconds
from brokenpipe.history.reader import History
from brokenpipe.history.resume import GAP_NS
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning


def resumption_warnings(history: History) -> Iterator[ValidityWarning]:
    """One for each time that it was resumed."""
    rows = history.rows(
        """
        SELECT r.t, r.part, (SELECT min(t) FROM clocks WHERE writer = 'experiment') AS begin,
               (SELECT arg_min(c.wall_ns, abs(c.t - r.t)) FROM clocks c WHERE c.writer = 'experiment') AS wall,
               (SELECT arg_max(wall_ns - t, t) FROM clocks c WHERE c.t < r.t - ?) AS before,
               (SELECT count(DISTINCT (arm, key)) FROM requests q WHERE q.key IS NOT NULL AND q.t < r.t
                AND t_end IS NOT NULL AND failure IS NULL) AS writes,
               (SELECT count(*) FROM balances) > 0 AS ledger
        FROM resumptions r ORDER BY r.t""",
        (GAP_NS // 2,),
    )
    for t, _, begin, wall, before, writes, ledger in rows:
        cut = t - GAP_NS
        away_s = max(0.0, (wall - (before + cut)) / 1e9)
        text = (
            f"cut off after {seconds((cut - begin) / 1e9)} and resumed {seconds(away_s)} later: services and "
            "database were new from then on"
        )
        if ledger and writes:
            text += f", and what became of {writes:,} writes acknowledged before is not known"
        yield ValidityWarning.of(Code.RESUMED, text)
