"""Connections through the proxy: how each one ended, found by arm, client's port and time.

Ports are reused, so a port alone identifies no connection: it is the one that had opened last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from brokenpipe.history.reader import History


@dataclass(frozen=True, slots=True)
class ProxyConnection:
    """One connection through the proxy. Times are monotonic nanoseconds; None: it did not happen before the log ended.

    `closed_by` is toxic, client, server or no_server. `toxic` cut or silenced it. `forgotten`: a toxic had dropped it,
    which neither side noticed before the client's next byte.
    """

    opened: int
    ended: int | None
    closed_by: str | None
    cut: int | None
    silenced: int | None
    toxic: str | None
    forgotten: int | None = None

    @property
    def over_at(self) -> int | None:
        """When it ended on the wire, by any side. Silence is no end."""
        return self.ended if self.cut is None else self.cut

    @property
    def dead_since(self) -> int | None:
        """Since when it was unusable: it had ended, or had been forgotten before."""
        return min((t for t in (self.forgotten, self.over_at) if t is not None), default=None)


@dataclass(frozen=True, slots=True)
class ProxyConnections:
    """The connections of every arm and port, in order of opening. Empty in histories without a log of links."""

    by_arm_port: Mapping[tuple[str, int], Sequence[ProxyConnection]]

    def __bool__(self) -> bool:
        return bool(self.by_arm_port)

    def connection(self, arm: str, port: int | None, at: int) -> ProxyConnection | None:
        """The connection that this port had at that time, or just before it."""
        connections = self.by_arm_port.get((arm, port or 0), ())
        count = bisect_right(connections, at, key=lambda connection: connection.opened)
        return connections[count - 1] if count else None


# The n-th end of a port belongs to its n-th opening, counted anew from each start of the proxy's server.
_CONNECTIONS = """
WITH boots AS (SELECT t, row_number() OVER (ORDER BY t) AS boot FROM clocks WHERE writer = 'toxiproxy'),
opened AS (
    SELECT l.arm, l.port, l.t, b.boot, row_number() OVER (PARTITION BY arm, port, boot ORDER BY l.t) AS n,
           lead(l.t) OVER (PARTITION BY arm, port ORDER BY l.t) AS next
    FROM links_opened l ASOF JOIN boots b ON l.t >= b.t
),
ended AS (
    SELECT l.arm, l.port, l.t, l.ender, b.boot, row_number() OVER (PARTITION BY arm, port, boot ORDER BY l.t) AS n
    FROM links_ended l ASOF JOIN boots b ON l.t >= b.t
),
struck AS (
    SELECT arm, port, t, toxic, 'cut' AS how FROM links_cut
    UNION ALL SELECT arm, port, t, toxic, 'silenced' FROM links_silenced
    UNION ALL SELECT arm, port, t, toxic, 'forgotten' FROM links_forgotten
),
suffered AS (
    SELECT o.arm, o.port, o.t, min(s.t) FILTER (s.how = 'cut') AS cut,
           min(s.t) FILTER (s.how = 'silenced') AS silenced, min(s.t) FILTER (s.how = 'forgotten') AS forgotten,
           arg_min(s.toxic, s.t) FILTER (s.how != 'forgotten') AS toxic
    FROM struck s ASOF JOIN opened o ON s.arm = o.arm AND s.port = o.port AND s.t >= o.t GROUP BY ALL
)
SELECT o.arm, o.port, o.t, e.t, e.ender, s.cut, s.silenced, s.toxic, s.forgotten
FROM opened o LEFT JOIN ended e ON (o.arm, o.port, o.boot, o.n) = (e.arm, e.port, e.boot, e.n)
LEFT JOIN suffered s ON (o.arm, o.port, o.t) = (s.arm, s.port, s.t)
ORDER BY o.arm, o.port, o.t
"""


def proxy_connections(history: History) -> ProxyConnections:
    """Read every connection in the proxy's log."""
    by_arm_port: dict[tuple[str, int], list[ProxyConnection]] = defaultdict(list)
    for arm, port, *fields in history.stream(_CONNECTIONS):
        by_arm_port[arm, port].append(ProxyConnection(*fields))
    return ProxyConnections(by_arm_port)
