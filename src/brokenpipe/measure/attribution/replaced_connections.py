"""Dead connections that a pool found on behalf of a request that waited for one, and what had ended them.

    waits ─▶ ping fails, closed ─▶ pause ─▶ ping fails, closed ─▶ … ─▶ its client, or its own time limit, gives up

It failed without having met any of them. Without the fault that ended them it would have had the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.connection_faults import ConnectionEnd

_FOUND_DEAD = """
SELECT witness_arm, id, port, t FROM closes WHERE after = 'ping' AND id IS NOT NULL AND port IS NOT NULL ORDER BY t
"""


def replaced_connections(
    history: History, ended_by: Callable[[str, int, int], ConnectionEnd | None]
) -> Mapping[tuple[str, str], ConnectionEnd]:
    """By arm and request: the end of the last such connection that a fault had ended."""
    return {
        (arm, request): end
        for arm, request, port, t in history.stream(_FOUND_DEAD)
        if (end := ended_by(arm, port, t)) is not None
    }
