"""What the service itself did, and its users, in a sentence each: it stood still, they left."""

from __future__ import annotations

from collections.abc import Iterator

from brokenpipe import formatting
from brokenpipe.measure.model.findings import Findings

STANDSTILL_MS = 250.0  # shorter ones are in the table alone


def describe_standstills(findings: Findings) -> Iterator[str]:
    """That the service itself stood still, and for how long at most."""
    longest: dict[str, float] = {}
    for (arm, _), cell in findings.cells.items():
        if cell.loop_lag_ms is not None and cell.loop_lag_ms >= STANDSTILL_MS:
            longest[arm] = max(longest.get(arm, 0.0), cell.loop_lag_ms)
    if longest:
        told = ", ".join(f"{ms / 1e3:.1f} s in {arm}" for arm, ms in longest.items())
        yield f"The service's own event loop stood still, for up to {told}: nothing else in that process ran meanwhile."


def describe_user_disconnects(findings: Findings) -> Iterator[str]:
    """Users who hung up, and the connections that this cost."""
    counts: dict[str, tuple[int, int]] = {}
    for (arm, _), cell in findings.cells.items():
        if cell.client_disconnects is not None and cell.client_disconnects.requests:
            requests, reconnects = counts.get(arm, (0, 0))
            counts[arm] = (
                requests + cell.client_disconnects.requests,
                reconnects + cell.client_disconnects.reconnects,
            )
    for arm, (requests, reconnects) in counts.items():
        said = f"{formatting.plural(requests, 'user')} of {arm} hung up before the answer was complete"
        cost = f", which cost {formatting.plural(reconnects, 'connection')} of its pool" if reconnects else ""
        yield f"{said}{cost}."
