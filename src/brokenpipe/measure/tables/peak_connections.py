"""Peak connections of each arm and phase: of its service to the proxy, and at Postgres.

Without a pooler between them they are as many. Postgres is looked at once a second; the proxy logs every link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats

_SERVER = """
WITH p AS (FROM stretches)
SELECT g.arm, p.name, max(g.connections) FROM postgres_gauges g JOIN p ON g.t BETWEEN p.t0 AND p.t1 GROUP BY ALL
"""

# A link that opened before a phase is open in it, until it ends.
_CLIENT = """
WITH p AS (FROM stretches), change AS (
    SELECT arm, t, 1 AS n FROM links_opened UNION ALL SELECT arm, t, -1 FROM links_ended
), open AS (
    SELECT arm, t, sum(n) OVER (PARTITION BY arm ORDER BY t, n) AS n,
           lead(t) OVER (PARTITION BY arm ORDER BY t, n) AS until
    FROM change
)
SELECT o.arm, p.name, max(o.n)::INTEGER FROM open o JOIN p ON o.t <= p.t1 AND coalesce(o.until, p.t1) >= p.t0
GROUP BY ALL
"""
_STARTS = "SELECT count(*) FROM clocks WHERE writer = 'toxiproxy'"


def with_peak_connections(
    history: History, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the peak connections to each arm and phase, where they are known."""
    server = {(arm, phase): count for arm, phase, count in history.rows(_SERVER)}
    client = {(arm, phase): count for arm, phase, count in history.rows(_CLIENT)}
    if history.one(_STARTS)[0] != 1:  # where it was restarted, links ended without a line
        client = {}
    return {
        place: replace(cell, server_connections=server.get(place), client_connections=client.get(place))
        for place, cell in cells.items()
    }
