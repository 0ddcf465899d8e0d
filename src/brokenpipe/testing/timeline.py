"""What happened on a wire, for the report of a test that failed: acts, and each connection's beginning and end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brokenpipe.redaction import redacted_text
from brokenpipe.testing.connections import WireConnection

MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class WireAct:
    """Something that a test did to its wire, or the end of it, and when (time.monotonic_ns)."""

    t_ns: int
    text: str


def timeline(
    acts: Sequence[WireAct], connections: Sequence[WireConnection], since_ns: int
) -> tuple[str, ...]:
    """A line for each event from `since_ns` on, in order, with milliseconds since then."""
    events = [(act.t_ns, act.text) for act in acts]
    for number, connection in enumerate(connections, 1):
        events += _events_of(number, connection)
    shown = [
        redacted_text(f"{(t_ns - since_ns) / 1e6:10.1f} ms  {text}")
        for t_ns, text in sorted(events)
        if t_ns >= since_ns
    ]
    if len(shown) > MOST_LINES:
        half = MOST_LINES // 2
        shown[half:-half] = [f"               … {len(shown) - MOST_LINES:,} lines more …"]
    return tuple(shown)


def _events_of(number: int, connection: WireConnection) -> Iterator[tuple[int, str]]:
    name = f"connection {number}"
    yield connection.began_ns, f"{name} began, from port {connection.port}"
    if connection.ended_ns is not None:
        why = (
            f"{connection.ended_by} ({connection.broken_by})" if connection.broken_by else connection.ended_by
        )
        age_ms = (connection.ended_ns - connection.began_ns) / 1e6
        yield connection.ended_ns, f"{name} ended, {why}, {age_ms:.1f} ms old"
