"""Coverage of the witness in each arm: requests, and the pools behind them.

    requests   each request, and the exception that left it    needs a server that the witness knows
    pools      checkouts, pings, connections and their ends    needs a pool that it knows

A failed request is followed from one to the other. Where either is missing, what needs both (masked
disconnects, prices, what was swallowed, and that a failure is *no* disconnect) is not known.

Libraries are seen in three planes: servers, pools, and drivers whose connections lie outside of any pool.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from brokenpipe.history.reader import History


class WitnessCoverage(StrEnum):
    """Coverage of the witness in one arm: a closed list. The value stands in `summary.json`."""

    BOTH = "requests and pools"
    REQUESTS = "requests only"
    POOLS = "pools only"
    NEITHER = "neither"
    NO_FILE = "no file"

    @property
    def requests(self) -> bool:
        return self in {WitnessCoverage.BOTH, WitnessCoverage.REQUESTS}

    @property
    def pools(self) -> bool:
        return self in {WitnessCoverage.BOTH, WitnessCoverage.POOLS}


COVERAGE_TEXT: Mapping[WitnessCoverage, str] = {
    WitnessCoverage.BOTH: "the witness saw its requests and its pools",
    WitnessCoverage.REQUESTS: "the witness saw its requests, but no pool that it knows",
    WitnessCoverage.POOLS: "the witness saw its pool, but none of its requests",
    WitnessCoverage.NEITHER: (
        "the witness ran in it, and recorded no pool that it knows and no request with anything to tell"
    ),
    WitnessCoverage.NO_FILE: "the witness left no file: it did not run in this service, or wrote nothing",
}
"""The coverage of an arm, in words."""

CONNECTIONS_TEXT: Mapping[WitnessCoverage, str] = {
    WitnessCoverage.BOTH: "the witness saw its requests and its connections, which are in no pool that it knows",
    WitnessCoverage.POOLS: "the witness saw its connections, but none of its requests",
}
"""The same of an arm whose connections lie outside of any pool."""


class Plane(StrEnum):
    """What a library is for: a closed list. The value stands in the history and in `summary.json`."""

    REQUESTS = "requests"
    POOLS = "pools"
    CONNECTIONS = "connections"


@dataclass(frozen=True, slots=True)
class SeenLibraries:
    """The libraries that the witness saw in one arm, each with its version, and what it only counted.

    `by_plane` has every plane; None: a history of before, which does not say.
    `websockets`: accepted connections, whose messages are not followed; None as well.
    """

    by_plane: Mapping[Plane, tuple[str, ...]] | None = None
    websockets: int | None = None


def libraries_by_arm(history: History, arms: Iterable[str]) -> dict[str, SeenLibraries]:
    """The libraries of each arm, by plane."""
    seen: dict[str, dict[Plane, list[str]]] = defaultdict(lambda: {plane: [] for plane in Plane})
    for arm, plane, library in history.rows(_LIBRARIES):
        seen[arm][Plane(plane)].append(library)
    websockets: dict[str, int] = dict(
        history.rows("SELECT witness_arm, count(*) FROM websockets GROUP BY ALL")
    )
    return {
        arm: SeenLibraries(
            {plane: tuple(names) for plane, names in seen[arm].items()} if arm in seen else None,
            websockets.get(arm, 0) if arm in seen else None,
        )
        for arm in arms
    }


_LIBRARIES = f"""
SELECT DISTINCT witness_arm, plane, concat_ws(' ', library, version) FROM planes
WHERE plane IN {tuple(map(str, Plane))} AND library IS NOT NULL ORDER BY ALL"""


def coverage_by_arm(history: History, arms: Iterable[str]) -> dict[str, WitnessCoverage]:
    """The coverage of each arm, from the records of its witness."""
    requests = _arms(history, "SELECT witness_arm FROM testimonies UNION SELECT witness_arm FROM tallies")
    pools = _arms(history, "SELECT DISTINCT witness_arm FROM connects")
    ran = _arms(
        history, "SELECT DISTINCT substr(writer, 9) FROM clocks WHERE starts_with(writer, 'witness ')"
    )
    return {arm: _coverage(arm in requests, arm in pools, arm in ran) for arm in arms}


def fully_witnessed_arms(coverage: Mapping[str, WitnessCoverage]) -> frozenset[str]:
    """The arms whose requests are followed into their pools.

    Only there are masked disconnects and pool costs known, and only there does no record mean no disconnect.
    """
    return frozenset(arm for arm, each in coverage.items() if each is WitnessCoverage.BOTH)


def _coverage(requests: bool, pools: bool, ran: bool) -> WitnessCoverage:
    if requests:
        return WitnessCoverage.BOTH if pools else WitnessCoverage.REQUESTS
    if pools:
        return WitnessCoverage.POOLS
    return WitnessCoverage.NEITHER if ran else WitnessCoverage.NO_FILE


def _arms(history: History, query: str) -> frozenset[str]:
    return frozenset(arm for (arm,) in history.rows(query))
