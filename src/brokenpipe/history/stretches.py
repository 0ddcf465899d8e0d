"""The stretches of time in which each phase was played: more than one where episodes were added later."""

from __future__ import annotations

STRETCHES = """
    SELECT name, t AS t0, t1 FROM (
        SELECT name, edge, t, lead(t) OVER (PARTITION BY name ORDER BY t) AS t1 FROM phase_edges
    ) WHERE edge = 'begin'"""
"""A query: `name`, `t0` and `t1`, which is NULL for a stretch that was cut off."""
