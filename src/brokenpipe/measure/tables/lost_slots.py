"""Queries of connections that were not given back after their request had ended."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from brokenpipe.history.reader import History
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.lost_slots import LostSlot, LostSlots

# Out for less than this when the run ends, a connection may be about to come back; nor if others were out for half as
# long and came back: a task in the background gives back late, and loses nothing.
SURE_S = 2.0
SURE_TIMES = 2.0

# By the phase in which the request began, or which came next: what was lost before a phase is lost in it.
_TAKEN = """
CREATE TEMP TABLE unreturned AS
SELECT u.arm, e.phase, u.id, u.ended, u.c.port AS port, u.c.t AS handed
FROM (
    SELECT witness_arm AS arm, id, t0, t1 AS ended, unnest(checkouts) AS c FROM testimonies WHERE unreturned > 0
) u ASOF JOIN (SELECT phase, t1 FROM episode_list WHERE counts) e ON u.t0 < e.t1
WHERE u.c.held_ms IS NULL
"""
_FATES = """
WITH run AS (SELECT max(t1) AS ends FROM episode_list)
SELECT u.arm, u.phase, u.id, u.port, (coalesce(r.t, run.ends) - u.ended) / 1e9, r.t IS NOT NULL,
       coalesce(r.collected, false), o.name, p."of"
FROM unreturned u CROSS JOIN run
LEFT JOIN returns r ON r.witness_arm = u.arm AND r.id = u.id AND r.handed = u.handed AND r.t <= run.ends
LEFT JOIN (
    SELECT arm, id_hash, any_value(name) AS name FROM outcomes_everywhere
    WHERE id_hash IN (SELECT hash(id) FROM unreturned) GROUP BY ALL
) o ON o.arm = u.arm AND o.id_hash = hash(u.id)
ASOF LEFT JOIN (SELECT witness_arm, port, t, "of" FROM connects) p
  ON p.witness_arm = u.arm AND p.port = u.port AND u.handed >= p.t
ORDER BY u.ended
"""
# Of histories from before a connection told when it came back.
_UNTOLD = """
SELECT DISTINCT witness_arm FROM testimonies
WHERE unreturned IS NULL AND len([c for c in checkouts if c.held_ms IS NULL]) > 0
"""


@dataclass(frozen=True, slots=True)
class _Fate:
    """What became of one connection. `returned` before the end of the run, by the service or `collected` as garbage."""

    id: str
    port: int | None
    out_s: float
    returned: bool
    collected: bool
    name: str | None
    pool: int | None

    def is_lost(self, sure_s: float) -> bool:
        return self.collected or (not self.returned and self.out_s >= sure_s)


def with_lost_slots(
    history: History, cells: Mapping[ArmPhase, ArmPhaseStats], witnessed: Collection[str]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the lost slots to each arm and phase, where requests are followed into their pools."""
    untold = {arm for (arm,) in history.rows(_UNTOLD)}
    found = _lost_slots(history)
    return {
        (arm, phase): replace(cell, lost_slots=found.get((arm, phase), LostSlots(0)))
        if arm in witnessed and arm not in untold
        else cell
        for (arm, phase), cell in cells.items()
    }


def _lost_slots(history: History) -> dict[ArmPhase, LostSlots]:
    history.sql(_TAKEN)
    if not history.one("SELECT count(*) FROM unreturned")[0]:
        return {}
    fates: dict[ArmPhase, list[_Fate]] = defaultdict(list)
    for arm, phase, *rest in history.rows(_FATES):
        fates[arm, phase].append(_Fate(*rest))
    late_s: dict[str, float] = defaultdict(float)  # by arm, the longest after which the service gave one back
    for (arm, _), some in fates.items():
        late_s[arm] = max(
            [late_s[arm], *(each.out_s for each in some if each.returned and not each.collected)]
        )
    return {place: _sum(some, max(SURE_S, SURE_TIMES * late_s[place[0]])) for place, some in fates.items()}


def _sum(fates: Sequence[_Fate], sure_s: float) -> LostSlots:
    lost = [each for each in fates if each.is_lost(sure_s)]
    if not lost:
        return LostSlots(0)
    longest = max(lost, key=lambda each: each.out_s)
    return LostSlots(
        count=len(lost),
        collected=sum(each.collected for each in lost),
        by_request=dict(Counter(each.name or "" for each in lost).most_common()),
        example=LostSlot(longest.name or "", longest.id, longest.port, longest.pool, longest.out_s),
    )
