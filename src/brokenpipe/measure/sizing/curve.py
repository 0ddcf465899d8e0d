"""The pool-size curve: waits for a connection by pool size, and the smallest sufficient size.

    wait, p95                                        short   waits are longer than tolerable, or some gave up
      ▇                                              open    the interval reaches across
      ▇ ▇                                            enough  they are not
      ▇ ▇ ▅ ▂                ╌╌╌╌ tolerable
      4 8 10 12 16 20 30     connections             the knee is the smallest that is enough, here 16

A percentile is that of each episode, averaged over episodes, as everywhere in checks: its interval comes from episodes.
Sizes come from the records of the witness, not from the names of environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean

from brokenpipe.error_class import ErrorClass
from brokenpipe.formatting import milliseconds, percent, plural
from brokenpipe.history.validity_codes import Code
from brokenpipe.interval import Interval
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.lost_slots import lost_slots_text
from brokenpipe.measure.model.nested_checkouts import NestedCheckouts, nested_checkouts_text, total_by_name
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.waits_elsewhere import time_outside_text, waits_elsewhere
from brokenpipe.measure.sizing.comparable_arms import FEWEST_SIZES, comparable_arms
from brokenpipe.measure.stats.distributions import binomial_interval
from brokenpipe.measure.stats.intervals import ERROR, mean_interval

FEWEST_EPISODES = 6  # with fewer, the interval of a mean says next to nothing
TOLERABLE_SHARE = 0.1  # of the time that a request holds its connection: a tenth more is not noticeable
PERCENTILE_REST = 0.05  # where more wait in vain, the 95th percentile is how long they wait, in every pool
TOLERABLE_MS = 5.0  # at least: below it a busy machine is measured, not a pool


class NoSize(StrEnum):
    """Why no size is an answer, though the pools' sizes differ."""

    NESTED = "nested"  # requests ask for a connection while they hold one
    LOST = "lost"  # connections never come back
    ELSEWHERE = "elsewhere"  # requests wait for something else than a connection


class Sufficiency(StrEnum):
    """Whether a pool was large enough."""

    TOO_SMALL = "short"
    UNDECIDED = "open"
    SUFFICIENT = "enough"


@dataclass(frozen=True, slots=True)
class PoolSize:
    """One arm's pools. `most` connections may be open at once, of all its processes together."""

    arm: str
    use: PoolUsage
    most: int
    requests: int
    timeouts: int  # requests that failed because they waited in vain: "pool exhausted"
    refused: int  # requests that failed because Postgres had no room: 53300
    answered_per_s: float
    hold_ms: float | None  # of one checkout, from out to back, on average; None: not recorded
    wait_p95_ms: float
    ci95: Interval | None  # None: all episodes alike, or fewer than two
    sufficiency: Sufficiency

    @property
    def processes(self) -> int:
        return self.use.processes

    @property
    def per_process(self) -> int:
        """Connections that one process may open."""
        return self.most // self.processes

    @property
    def timeout_share(self) -> float:
        """Of its requests, 0..1."""
        return self.timeouts / self.requests

    @property
    def refused_share(self) -> float:
        """Of its requests, 0..1."""
        return self.refused / self.requests


@dataclass(frozen=True, slots=True)
class Sizing:
    """`sizes` from small to large; the `curve` is those of arms that are equal in everything else.

    `left_out` says of each other arm in what it differs. `no_size`: why a size is no answer; None: it may be one.
    `unsure` are sizes below the knee that may be enough as well. Without a knee, `why` says why; with one, it is empty.
    `doubts` are the reasons to mistrust the whole run: with any, nothing of this is certain.
    """

    phase: str
    episodes: int
    tolerable_ms: float
    sizes: tuple[PoolSize, ...]
    curve: tuple[PoolSize, ...]
    knee: PoolSize | None
    undecided: tuple[PoolSize, ...]
    why: str
    doubts: tuple[ValidityWarning, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    nested: tuple[NestedCheckouts, ...] = ()
    no_size: NoSize | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a knee, and no doubt about it."""
        return self.knee is not None and not self.doubts

    @property
    def peak(self) -> int:
        """Most connections in use at once in any arm."""
        return max(size.use.peak_out for size in self.sizes)


def sizing_curve(findings: Findings) -> Sizing | None:
    """The curve of the first phase without a fault. None unless three arms had pools of different sizes there."""
    phase = next((each.name for each in findings.phases if not each.fault), None)
    if phase is None:
        return None
    uses = {arm: findings.pools[arm, phase] for arm in findings.arms if (arm, phase) in findings.pools}
    limited = {arm: use for arm, use in uses.items() if use.most and findings.cell(arm, phase).requests}
    if len(limited) < FEWEST_SIZES or len({use.most for use in limited.values()}) < 2:
        return None
    compared, left_out = comparable_arms(findings.arms, limited, findings.targets)
    roomiest = max(compared, key=lambda arm: limited[arm].most or 0)
    tolerable_ms = max(TOLERABLE_MS, TOLERABLE_SHARE * (limited[roomiest].hold_ms or 0.0))
    sizes = sorted(
        (_size(findings, arm, phase, tolerable_ms) for arm in limited), key=lambda size: (size.most, size.arm)
    )
    curve = tuple(size for size in sizes if size.arm in compared)
    doubts = tuple(each for each in findings.warnings if _concerns(each, phase))
    episodes = max(len(size.use.episode_p95_ms) for size in sizes)
    knee, why = find_knee(curve, episodes)
    nested = total_by_name(findings.nested.get((size.arm, phase), ()) for size in curve)
    no_size = _no_size(findings, phase, curve, nested)
    if no_size is not None:
        knee, why = None, no_size[1]
    return Sizing(
        phase=phase,
        episodes=episodes,
        tolerable_ms=tolerable_ms,
        sizes=tuple(sizes),
        curve=curve,
        knee=knee,
        undecided=_undecided_below(curve, knee),
        why=why,
        doubts=doubts,
        left_out=left_out,
        nested=nested,
        no_size=no_size[0] if no_size else None,
    )


def _no_size(
    findings: Findings, phase: str, curve: Sequence[PoolSize], nested: Sequence[NestedCheckouts]
) -> tuple[NoSize, str] | None:
    """Why no size is an answer, and what shows it."""
    if nested:
        return NoSize.NESTED, "; ".join(map(nested_checkouts_text, nested))
    lost = [
        lost_slots_text(size.arm, phase, slots)
        for size in curve
        if (slots := findings.cell(size.arm, phase).lost_slots) is not None and slots.count
    ]
    if lost:
        return NoSize.LOST, "; ".join(lost)
    return _elsewhere(findings, phase, curve)


def _elsewhere(findings: Findings, phase: str, curve: Sequence[PoolSize]) -> tuple[NoSize, str] | None:
    """Where no pool, not even the smallest, was what requests waited for."""
    known = [waits_elsewhere(findings, (size.arm, phase)) for size in curve]
    found = [each for each in known if each is not None]
    if len(found) < len(curve) or any(size.sufficiency is not Sufficiency.SUFFICIENT for size in curve):
        return None
    most = max(each.use.peak_out for each in found)
    if most >= curve[-1].most:  # even the largest was full
        return None
    largest = found[-1]
    smaller = f"; smaller ones than {curve[0].most} were not tried" if curve[0].most > most else ""
    return NoSize.ELSEWHERE, (
        f"In pools of {curve[0].most} to {curve[-1].most} connections nobody waited for one, and never more than "
        f"{most} {'was' if most == 1 else 'were'} out while {largest.under_way:.1f} requests were under way on "
        f"average; {time_outside_text(largest.time)}{smaller}"
    )


def _concerns(doubt: ValidityWarning, phase: str) -> bool:
    """Whether a warning concerns the curve. The expectations of a scenario do not matter here."""
    return doubt.unknown and doubt.phase in {None, phase} and doubt.code != Code.NOTHING_EXPECTED


def _size(findings: Findings, arm: str, phase: str, tolerable_ms: float) -> PoolSize:
    cell, use = findings.cell(arm, phase), findings.pools[arm, phase]
    timeouts = cell.failed_by_class.get(ErrorClass.POOL_EXHAUSTED.value, 0)
    value = fmean(use.episode_p95_ms)
    interval = mean_interval(use.episode_p95_ms)
    interval = Interval(max(0.0, interval.low), interval.high) if interval else None
    return PoolSize(
        arm=arm,
        use=use,
        most=use.most or 0,
        requests=cell.requests,
        timeouts=timeouts,
        refused=cell.failed_by_class.get(ErrorClass.TOO_MANY_CONNECTIONS.value, 0),
        answered_per_s=(cell.requests - cell.failed) / use.seconds if use.seconds else 0.0,
        hold_ms=use.hold_ms,
        wait_p95_ms=value,
        ci95=interval,
        sufficiency=classify_size(value, interval, timeouts, tolerable_ms),
    )


def classify_size(
    wait_ms: float, interval: Interval | None, timeouts: int, tolerable_ms: float
) -> Sufficiency:
    """A request that waited in vain is a fact, and needs no interval. Episodes that are all alike have none."""
    low, high = (interval.low, interval.high) if interval else (wait_ms, wait_ms)
    if timeouts or low > tolerable_ms:
        return Sufficiency.TOO_SMALL
    return Sufficiency.SUFFICIENT if high <= tolerable_ms else Sufficiency.UNDECIDED


def find_knee(curve: Sequence[PoolSize], episodes: int) -> tuple[PoolSize | None, str]:
    """The smallest size that is enough, if a smaller one is known to be short and no larger one is; else why not."""
    if len({size.most for size in curve}) < FEWEST_SIZES:
        return None, (
            f"{len({size.most for size in curve})} sizes are no curve: it takes {FEWEST_SIZES} arms or more "
            "whose pools differ in size and that are equal in all else"
        )
    if episodes < FEWEST_EPISODES:
        return (
            None,
            f"{plural(episodes, 'block')} of 2 s: too few: make the phase {2 * FEWEST_EPISODES} s or longer",
        )
    rooms = [size.sufficiency for size in curve]
    shorts = [index for index, room in enumerate(rooms) if room is Sufficiency.TOO_SMALL]
    if not shorts:
        return None, f"no pool was too small, not even {curve[0].most}: add smaller ones, or ask more often"
    roomy = [size for size in curve[shorts[-1] + 1 :] if size.sufficiency is Sufficiency.SUFFICIENT]
    if roomy:
        return roomy[0], ""
    if shorts[-1] == len(curve) - 1:
        return None, _short_to_the_last(curve)
    return None, f"whether {curve[-1].most} connections are enough cannot be told: make the phase longer"


def _short_to_the_last(curve: Sequence[PoolSize]) -> str:
    """No pool was enough: whether larger ones still helped where the sizes end."""
    best, largest = min(curve, key=_severity), curve[-1]
    if best is largest:
        return f"even in the largest pool, {largest.most}, requests waited too long: add larger ones"
    figures = ", ".join(f"{size.most}: {_severity_text(size)}" for size in curve if size.most >= best.most)
    rise, likely = (", and rise", "is") if _plainly_worse(largest, best) else ("", "may be")
    return (
        f"waits stop falling above {best.most} connections{rise} ({figures}): the limit {likely} elsewhere, "
        "the machine, the database or the service itself. No larger pool is suggested"
    )


def _severity(size: PoolSize) -> tuple[float, float]:
    return max(size.timeout_share, PERCENTILE_REST), size.wait_p95_ms


def _severity_text(size: PoolSize) -> str:
    wait = milliseconds(size.wait_p95_ms)
    return wait if size.timeout_share <= PERCENTILE_REST else f"{wait}, {percent(size.timeout_share)} in vain"


def _plainly_worse(size: PoolSize, best: PoolSize) -> bool:
    """Beyond chance: by what waits in vain where that is many, else by the wait."""
    if size.timeout_share > PERCENTILE_REST:
        mine, its = (binomial_interval(each.timeouts, each.requests, ERROR) for each in (size, best))
        return bool(mine.low > its.high)
    low = size.ci95.low if size.ci95 else size.wait_p95_ms
    return low > (best.ci95.high if best.ci95 else best.wait_p95_ms)


def _undecided_below(curve: Sequence[PoolSize], knee: PoolSize | None) -> tuple[PoolSize, ...]:
    if knee is None:
        return ()
    below = [size for size in curve if size.most < knee.most]
    last = max((n for n, size in enumerate(below) if size.sufficiency is Sufficiency.TOO_SMALL), default=-1)
    return tuple(below[last + 1 :])
