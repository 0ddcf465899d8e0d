"""Renewed connections: the harness ended them before a phase, so that others were opened in their place.

They end by RST or by FIN as was decided when they opened. Where a phase's fault asks for the other way they are
renewed; in histories of before they were before every phase.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from brokenpipe.history.reader import History

_LOG_DELAY_NS = 250_000_000  # from the call to the proxy's line about each link, on a busy machine

_RENEWED = f"""
SELECT a.phase, a.arm, count(DISTINCT c.port)
FROM acts a LEFT JOIN links_cut c
    ON c.arm = a.arm AND c.toxic = 'kill_switch' AND c.t BETWEEN a.t0 AND a.t1 + {_LOG_DELAY_NS}
WHERE a.action IN ('renew', 'clear') AND a.phase != 'end' AND a.error IS NULL
GROUP BY ALL ORDER BY min(a.t0), a.arm
"""


def renewed_connections(history: History) -> Mapping[str, Mapping[str, int | None]]:
    """By phase and arm, how many were renewed. None: there is no log of links to count them in."""
    (logged,) = history.one("SELECT count(*) FROM links_opened")
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    for phase, arm, count in history.rows(_RENEWED):
        found[phase][arm] = count if logged else None
    return found
