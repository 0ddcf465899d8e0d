"""Data model of attribution: which fault caused a failed request, how directly, and counts of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from brokenpipe.measure.failures.request_stage import RequestStage


class Relation(StrEnum):
    """How a failed request is related to a fault."""

    DIRECT = "direct"
    COLLATERAL = "collateral"
    SECONDARY = "secondary"
    SERVICE = "service"  # the service's own event loop stood still, and a timer in it fired late
    UNATTRIBUTED = "unattributed"  # followed, and nothing on record leads to a fault
    UNKNOWN = (
        "unknown"  # could not be followed: no record of the witness, or none of its connection at the proxy
    )


@dataclass(frozen=True, slots=True)
class Attribution:
    """The attribution of one failed request.

    `fault` is what caused it, empty if none on record did, or if that is not known; `episode` is that of the fault, not
    of the request.

    `pre_ping`, `recycle`: could it have been prevented by that? None: not known, or no arm recycles.
    """

    relation: Relation
    fault: str
    phase: str
    episode: int | None
    evidence: str
    stage: RequestStage
    pre_ping: bool | None
    recycle: bool | None
    standstill_s: float | None = None  # the service's event loop, if that is why; to a tenth

    @property
    def preventable(self) -> bool | None:
        """By either of the two; None if not known."""
        return None if self.pre_ping is None and not self.recycle else bool(self.pre_ping or self.recycle)


@dataclass(frozen=True, slots=True)
class AttributionCounts:
    """Counts of failed requests by attribution. `by_fault` counts the attributed ones, `by_moment` all.

    preventable + not_preventable + unknown = all; `pre_ping` and `recycle` may count the same request. `by_time`: how
    many are attributed by times alone, because the proxy's links were not recorded.
    """

    by_relation: Mapping[Relation, int]
    by_fault: Mapping[str, int]
    by_stage: Mapping[RequestStage, int]
    preventable: int
    not_preventable: int
    pre_ping: int
    recycle: int
    by_time: int
    standstill_s: float | None = None  # the service's event loop at most, where that is why

    @property
    def failed(self) -> int:
        return sum(self.by_relation.values())

    @property
    def attributed(self) -> int:
        return (
            self.failed
            - self.by_relation.get(Relation.UNATTRIBUTED, 0)
            - self.by_relation.get(Relation.UNKNOWN, 0)
        )

    @property
    def followed(self) -> bool:
        """Whether all of them could be followed to a fault, or to none."""
        return not self.by_relation.get(Relation.UNKNOWN)

    @property
    def unknown(self) -> int:
        return self.failed - self.preventable - self.not_preventable

    @property
    def preventable_share(self) -> float | None:
        """Of the failed requests, those that pre-ping or recycle could have prevented; None if none failed."""
        return self.preventable / self.failed if self.failed else None


def count_attributions(attributions: Iterable[Attribution]) -> AttributionCounts:
    """Count attributions."""
    all_ = tuple(attributions)
    return AttributionCounts(
        by_relation=dict(Counter(one.relation for one in all_)),
        by_fault=dict(Counter(one.fault for one in all_ if one.fault)),
        by_stage=dict(Counter(one.stage for one in all_)),
        preventable=sum(one.preventable is True for one in all_),
        not_preventable=sum(one.preventable is False for one in all_),
        pre_ping=sum(one.pre_ping is True for one in all_),
        recycle=sum(one.recycle is True for one in all_),
        by_time=sum(one.evidence == "time alone" for one in all_),
        standstill_s=max((one.standstill_s for one in all_ if one.standstill_s is not None), default=None),
    )
