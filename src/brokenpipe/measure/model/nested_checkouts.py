"""Nested checkouts: requests that ask a pool for a connection while they hold one of the same pool.

    a pool of two      request 1 holds A, waits ─┐
                       request 2 holds B, waits ─┴ for a connection that only they could give back

Where as many of them are under way as the pool has connections, each waits for the others until it gives up. A larger
pool moves that point and removes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from brokenpipe.formatting import plural
from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase

WAITED_MS = 1.0  # a pool with a connection to spare takes 0.02 ms

# Each time that a request asked while it held: from its own line, from the error that ended its wait, and from what it
# was seen to hang in, if it was never heard of again. Histories of before do not tell what was held.
_ASKED = f"""
CREATE TEMP TABLE nested_asked AS
SELECT witness_arm AS arm, id, nested AS holding, nested_wait_ms >= {WAITED_MS} AS waited, false AS gave_up
FROM testimonies WHERE nested > 0
UNION ALL
SELECT witness_arm, id, e.holding, true, true FROM (
    SELECT witness_arm, id, unnest(from_json(errors, '[{{"where": "VARCHAR", "holding": "INTEGER"}}]')) AS e
    FROM testimonies
) WHERE e."where" = 'checkout' AND e.holding > 0
UNION ALL
SELECT witness_arm, id, holding, true, false FROM stalls WHERE act = 'checkout' AND holding > 0
"""
_NESTED = """
SELECT o.arm, o.phase, o.name, count(*), max(a.holding) + 1,
       count(*) FILTER (a.waited), count(*) FILTER (a.gave_up)
FROM outcomes o JOIN (
    SELECT arm, hash(id) AS id_hash, max(holding) AS holding, bool_or(waited) AS waited, bool_or(gave_up) AS gave_up
    FROM nested_asked GROUP BY ALL
) a USING (arm, id_hash)
WHERE o.phase IS NOT NULL GROUP BY ALL ORDER BY o.arm, o.phase, o.name
"""
_REQUESTS = "SELECT arm, phase, name, count(*) FROM outcomes WHERE phase IS NOT NULL GROUP BY ALL"


@dataclass(frozen=True, slots=True)
class NestedCheckouts:
    """Requests of one name that were seen to take up to `most` connections of one pool at once."""

    name: str
    requests: int
    nested: int
    most: int
    waited: int  # for a further connection, while they held one
    gave_up: int  # of those that waited: in vain


def nested_checkouts(history: History) -> dict[ArmPhase, tuple[NestedCheckouts, ...]]:
    """By arm and phase, where there are any."""
    history.sql(_ASKED)
    if not history.one("SELECT count(*) FROM nested_asked")[0]:  # nothing to join ten million requests with
        return {}
    requests = {(arm, phase, name): n for arm, phase, name, n in history.rows(_REQUESTS)}
    found: dict[ArmPhase, tuple[NestedCheckouts, ...]] = {}
    for arm, phase, name, *figures in history.rows(_NESTED):
        one = NestedCheckouts(name, requests[arm, phase, name], *figures)
        found[arm, phase] = (*found.get((arm, phase), ()), one)
    return found


def total_by_name(cells: Iterable[Iterable[NestedCheckouts]]) -> tuple[NestedCheckouts, ...]:
    """The sum for each name over these cells, the most frequent first."""
    names: dict[str, NestedCheckouts] = {}
    for each in (each for cell in cells for each in cell):
        known = names.get(each.name)
        names[each.name] = _sum(known, each) if known else each
    return tuple(sorted(names.values(), key=lambda each: -each.nested))


def _sum(one: NestedCheckouts, other: NestedCheckouts) -> NestedCheckouts:
    return NestedCheckouts(
        name=one.name,
        requests=one.requests + other.requests,
        nested=one.nested + other.nested,
        most=max(one.most, other.most),
        waited=one.waited + other.waited,
        gave_up=one.gave_up + other.gave_up,
    )


def nested_checkouts_text(found: NestedCheckouts) -> str:
    """Describe the nested checkouts, and what they mean for a pool of any size."""
    at_once = "two connections" if found.most == 2 else f"{found.most} connections"
    waits = f"{found.waited} of them waited while they held one, {found.gave_up} in vain"
    return (
        f"Requests of {found.name} take {at_once} of one pool at once: {found.nested} of "
        f"{plural(found.requests, 'request')} did, and {waits}. A pool of any size deadlocks when as many of them are "
        f"under way as it has connections; a pool of n safely serves {_safe(found.most)} of them at a time"
    )


def _safe(most: int) -> str:
    """How many at once always leave one that gets all it wants: each of the others holds all but one."""
    return "n − 1" if most == 2 else f"(n − 1) ÷ {most - 1}, rounded down,"


REMEDY = "Take one connection at a time: give the first back, or use it, before the next is asked for."


def nested_checkout_texts(found: Mapping[ArmPhase, tuple[NestedCheckouts, ...]]) -> Iterator[str]:
    """A sentence and its remedy for each name whose requests waited while they held a connection."""
    for each in total_by_name(found.values()):
        if each.waited:
            yield f"{nested_checkouts_text(each)}. {REMEDY}"
