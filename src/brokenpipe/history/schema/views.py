"""What is drawn from several tables of a history."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.records import NEVER_SENT

# A request is known from its end, which says all that its start says. Where a start was written because the end was
# not there yet, or before ends said so much, the two belong together by arm and id.
VIEWS: Mapping[str, str] = {
    # In which each phase was played: more than one in a soak, or where episodes were added later. `t1` is NULL for one
    # that was cut off, unless a later part of the experiment begins.
    "stretches": """
        SELECT name, t AS t0, CASE edge_after WHEN 'end' THEN t_after ELSE (
                   SELECT min(r.t) FROM resumptions r WHERE r.t > p.t) END AS t1
        FROM (
            SELECT name, edge, t, lead(t) OVER w AS t_after, lead(edge) OVER w AS edge_after
            FROM phase_edges WINDOW w AS (PARTITION BY name ORDER BY t)
        ) p WHERE edge = 'begin'""",
    "never_sent": f"SELECT arm, failure, t0 AS t FROM ended WHERE failure IN {NEVER_SENT}",
    "other_requests": f"""
        SELECT arm, id, hash(id) AS id_hash, name, key, t0 AS t, t0 + (ms * 1e6)::BIGINT AS t_end, ms, status,
               failure, error
        FROM ended WHERE t0 IS NOT NULL AND (failure IS NULL OR failure NOT IN {NEVER_SENT})
        UNION ALL
        SELECT s.arm, s.id, hash(s.id), s.name, s.key, s.t, e.t, e.ms, e.status, e.failure, e.error
        FROM started s LEFT JOIN (FROM ended WHERE t0 IS NULL OR begun) e ON s.arm = e.arm AND s.id = e.id
        WHERE e.t0 IS NULL""",
    "requests": """
        SELECT arm, NULL::VARCHAR AS id, id_hash, name, NULL::VARCHAR AS key, t0 AS t,
               t0 + (ms * 1e6)::BIGINT AS t_end, ms, status, NULL::VARCHAR AS failure, NULL::VARCHAR AS error
        FROM plain_ends
        UNION ALL FROM other_requests""",
    # Ended or made to stand still, and not by an act of the nemesis: those may lie 0.25 s beside what the engine says.
    # Nor by the stack, which ends all of them when an experiment is over or cut off: then no edge of a phase follows.
    "disturbed": """
        SELECT c.* FROM container_events c WHERE c.change IN ('ended', 'paused') AND c.service NOT LIKE 'scratch%'
        AND (SELECT arg_min(edge, t) FROM (
                SELECT t, true AS edge FROM phase_edges UNION ALL SELECT t, false FROM resumptions
            ) WHERE t >= c.t)
        AND NOT EXISTS (
            FROM acts a WHERE c.t BETWEEN a.t0 - 250000000 AND a.t1 + 250000000
            AND ((c.service = 'postgres' AND a.fault IN (SELECT name FROM fault_kinds WHERE stops_server))
                 OR (c.service = 'toxiproxy' AND a.action = 'restart')))""",
}
