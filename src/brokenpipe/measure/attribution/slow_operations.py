"""Operations of requests that lasted too long, as the witness recorded them while they went on."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from brokenpipe.history.reader import History


class Stall(NamedTuple):
    """An operation that lasts too long: since when, on which port (0: none yet), and when it was last seen."""

    since: int
    port: int
    seen_at: int
    kind: str


_STALLS = """
SELECT witness_arm, since, coalesce(port, 0), t, act FROM stalls WHERE act != 'checkout' ORDER BY since
"""


def stalls_by_arm(history: History) -> Mapping[str, list[Stall]]:
    """The stalls of each arm, in order of their beginning."""
    found: dict[str, list[Stall]] = defaultdict(list)
    for arm, *stall in history.rows(_STALLS):
        found[arm].append(Stall(*stall))
    return found


MAX_LATEST = 32  # of the latest: a pool has hardly more connections


def latest(stalls: Sequence[Stall], until: int) -> Iterator[Stall]:
    """Those that had begun at a time, the latest first."""
    count = bisect_right(stalls, until, key=attrgetter("since"))
    return (stalls[n] for n in range(count - 1, max(-1, count - 1 - MAX_LATEST), -1))
