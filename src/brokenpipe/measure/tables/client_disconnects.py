"""Client disconnects: requests whose clients disconnected before the answer was complete, and the cost for the pool.

Errors that such a request met afterwards were not swallowed, since no client was left; nor has a connection died that a
ping could have found. Its cost are connections: drivers give up one whose statement was cut short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats, ClientDisconnects

_CLIENT_DISCONNECTS = """
WITH gone AS (
    SELECT o.arm, o.phase, o.id_hash FROM outcomes o
    JOIN (SELECT witness_arm AS arm, hash(id) AS id_hash FROM testimonies WHERE left_t IS NOT NULL) w
    USING (arm, id_hash)
    WHERE o.failure IS NULL AND o.phase IS NOT NULL
), given_up AS (
    SELECT witness_arm AS arm, hash(id) AS id_hash, count(*) AS n FROM closes
    WHERE after = 'cancelled' AND id IS NOT NULL GROUP BY ALL
)
SELECT gone.arm, gone.phase, count(*), coalesce(sum(n), 0)::BIGINT
FROM gone LEFT JOIN given_up USING (arm, id_hash) GROUP BY ALL
"""


def with_client_disconnects(
    history: History, cells: Mapping[ArmPhase, ArmPhaseStats], witnessed: frozenset[str]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the client disconnects to each arm and phase, where a witness could see them."""
    left = {
        (arm, phase): ClientDisconnects(*counts) for arm, phase, *counts in history.rows(_CLIENT_DISCONNECTS)
    }
    return {
        place: replace(
            cell, client_disconnects=left.get(place, ClientDisconnects()) if place[0] in witnessed else None
        )
        for place, cell in cells.items()
    }
