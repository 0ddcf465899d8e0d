"""Detects a service that fails nearly every request without any fault: then the run stops."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.target import ENOUGH_REQUESTS, NEARLY_ALL
from brokenpipe.load.messages import Count
from brokenpipe.plan.phases import Phase


def failing_arms(phase: Phase, before: Mapping[str, Count], now: Mapping[str, Count]) -> tuple[str, ...]:
    """Arms that failed nearly all requests in a phase without a fault, and before it. Counts are of all requests.

    An arm that answered before a fault and never again has not recovered: that is a result, and the run goes on.
    """
    if phase.fault is not None:
        return ()
    nothing = Count(0, 0, 0)
    return tuple(
        arm
        for arm, count in now.items()
        if _nearly_all_failed(_difference(before.get(arm, nothing), count)) and _nearly_all_failed(count)
    )


def _difference(before: Count, now: Count) -> Count:
    return Count(now.started - before.started, now.ended - before.ended, now.failed - before.failed)


def _nearly_all_failed(count: Count) -> bool:
    return count.ended >= ENOUGH_REQUESTS and count.failed >= NEARLY_ALL * count.ended
