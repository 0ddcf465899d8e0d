"""The stretches of time in which each phase was played: more than one in a soak, or where episodes were added later."""

from __future__ import annotations

STRETCHES = """
    SELECT name, t AS t0, CASE edge_after WHEN 'end' THEN t_after ELSE (
               SELECT min(r.t) FROM resumptions r WHERE r.t > p.t) END AS t1
    FROM (
        SELECT name, edge, t, lead(t) OVER w AS t_after, lead(edge) OVER w AS edge_after
        FROM phase_edges WINDOW w AS (PARTITION BY name ORDER BY t)
    ) p WHERE edge = 'begin'"""
"""A query: `name`, `t0` and `t1`, which is NULL for a stretch that was cut off.

One that was cut off and resumed in another part ends where that begins.
"""
