"""Failed reconnects: a connection that a fault ended leaves a vacancy in its pool until a connect succeeds.

    close, by the fault ─▶ connect           replaced, no request noticed
                         └▶ connect_failed   this request failed because of it, and so do those that try again
                              └▶ connect     replaced at last

A connection that fails to open without a vacancy was meant to grow the pool: no earlier fault caused that failure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.connection_faults import ConnectionEnd

FindConnectionEnd = Callable[[str, int, int], ConnectionEnd | None]
"""By arm, port and time: what had ended that connection."""

_EVENTS = """
SELECT witness_arm, coalesce("of", 0), t, 'invalidated', '', port, false FROM invalidations WHERE port IS NOT NULL
UNION ALL
SELECT witness_arm, coalesce("of", 0), t, 'closed', '', coalesce(port, 0), coalesce(pool_invalidated, false) FROM closes
UNION ALL SELECT witness_arm, coalesce("of", 0), t, 'connected', '', 0, false FROM connects
UNION ALL SELECT witness_arm, coalesce("of", 0), t, 'failed', coalesce(id, ''), 0, false FROM connect_failures
ORDER BY t
"""


@dataclass(slots=True)
class _Pool:
    """State of one pool, while its events are read in order."""

    invalidated: ConnectionEnd | None = None  # by what, the last time
    vacant: list[ConnectionEnd] = field(default_factory=list)  # what had ended those that are missing


def failed_reconnects(
    history: History, ended_by: FindConnectionEnd
) -> Mapping[tuple[str, str], ConnectionEnd]:
    """By arm and request: the end of the connection that it failed to replace."""
    failed: dict[tuple[str, str], ConnectionEnd] = {}
    pools: dict[tuple[str, int], _Pool] = defaultdict(_Pool)
    for arm, number, t, event, request, port, whole in _events(history):
        pool = pools[arm, number]
        if event == "invalidated":
            pool.invalidated = ended_by(arm, port, t)
        elif event == "closed":
            if ended := ended_by(arm, port, t) or (pool.invalidated if whole else None):
                pool.vacant.append(ended)
        elif pool.vacant and event == "connected":
            pool.vacant.pop()
        elif pool.vacant and event == "failed":
            failed[arm, request] = pool.vacant[-1]
    return failed


def _events(history: History) -> Iterator[tuple[str, int, int, str, str, int, bool]]:
    """No events unless a connect failed: most histories have none, and some have millions of connects."""
    (any_failed,) = history.one("SELECT count(*) FROM connect_failures")
    if any_failed:
        yield from history.stream(_EVENTS)
