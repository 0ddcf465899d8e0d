"""Experiments with a known truth, drawn a thousand times, and how often the statistics are right about them.

Run by hand, `python -m tests.calibration.known_truths` prints the figures that stand in docs/calibration.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
from tests.calibration.simulated_episodes import MODELS, Array, episodes, true_rate

from brokenpipe.interval import Interval
from brokenpipe.measure.model.verdict import RankedBy
from brokenpipe.measure.stats.intervals import ERROR, mean_interval, rate_interval
from brokenpipe.measure.stats.paired import adjusted_ps, smallest_seen
from brokenpipe.measure.tables.arm_phase import EpisodeCounts
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.measure.verdict.ranking import Ranking, ratio_interval

if TYPE_CHECKING:
    from brokenpipe.history.reader import History
    from brokenpipe.measure.facts import Facts

EXPERIMENTS = 1_000
EPISODES = 12
SHAPE = (EXPERIMENTS, EPISODES)
LOOKS = (12, 24, 48)
PAIRS = (("in_use", "many"), ("one", "all"), ("few", "some"), (None, "in_use"), (None, "some"), (None, "all"))
POWERED = ("in_use", "some", "all")
Counted = tuple[int, int]  # how many of how many


def _rates(model: str, draw: np.random.Generator) -> Array:
    broken, requests = episodes(model, draw, SHAPE)
    return broken / requests


def _latencies(draw: np.random.Generator, spread_ms: float = 3.0) -> Array:
    """Medians of episodes; what all arms share, the drift of the machine, is added by who compares."""
    return 57 + spread_ms * draw.normal(size=SHAPE) + draw.exponential(spread_ms, SHAPE)


def _seen(arms: Sequence[Array], run: int) -> dict[str, float]:
    """The adjusted p of each arm against the first, in one run."""
    control, *others = arms
    return adjusted_ps({str(n): (arm[run] - control[run]).tolist() for n, arm in enumerate(others)})


def _false(arms: Sequence[Array]) -> Counted:
    return sum(min(_seen(arms, run).values()) <= ERROR for run in range(EXPERIMENTS)), EXPERIMENTS


def false_differences_of_rates(model: str) -> Counted:
    """Experiments of four equal arms in which any is said to differ."""
    draw = np.random.default_rng(11)
    return _false([_rates(model, draw) for _ in range(4)])


def false_differences_of_latencies() -> Counted:
    """The same of median latencies, on a machine that drifts."""
    draw = np.random.default_rng(12)
    drift = 20 * draw.normal(size=SHAPE)
    return _false([drift + _latencies(draw) for _ in range(4)])


def covered_rates(model: str, k: int) -> Counted:
    """Intervals of a rate that contain the true one. Episodes all alike have a bound of their own, which is exact."""
    broken, requests = episodes(model, np.random.default_rng(13), (EXPERIMENTS, k))
    truth = true_rate(model)
    told = [
        rate_interval([int(each) for each in e], [int(each) for each in n], largest_rate=1)
        for e, n in zip(broken, requests, strict=True)
        if np.ptp(e / n) > 0
    ]
    return sum(found is not None and found.low <= truth <= found.high for found in told), len(told)


def covered_differences(arm: str | None, control: str) -> Counted:
    """Intervals of a difference that contain the true one; None is an arm in which nothing breaks."""
    draw = np.random.default_rng(14)
    theirs = _rates(control, draw)
    mine = _rates(arm, draw) if arm else np.zeros(SHAPE)
    truth = (_mean_rate(arm) if arm else 0.0) - _mean_rate(control)
    return _covered(mine - theirs, truth)


@cache
def _mean_rate(model: str) -> float:
    return float(np.divide(*episodes(model, np.random.default_rng(98), (1, 1_000_000))).mean())


def covered_latencies() -> Counted:
    """Intervals of what a setting adds to the median latency that contain what it truly adds."""
    draw = np.random.default_rng(15)
    return _covered(_latencies(draw) + 2.5 - _latencies(draw), 2.5)


def _covered(differences: Array, truth: float) -> Counted:
    told = [mean_interval(row.tolist()) for row in differences if np.ptp(row) > 0]
    return sum(found is not None and found.low <= truth <= found.high for found in told), len(told)


def _ranking(arms: Sequence[tuple[Array, Array]], run: int, phases: int) -> Ranking:
    """One run of so many phases with a fault, its arms drawn; of no arm anything is known but what failed."""
    names = [f"arm {n}" for n in range(len(arms))]
    places = {
        (name, f"phase {p}"): _episodes(failed[run, p::phases], requests[run, p::phases])
        for name, (failed, requests) in zip(names, arms, strict=True)
        for p in range(phases)
    }
    told = [f"phase {p}" for p in range(phases)]
    estimator = Estimator(cast("History", None), {}, places, names[0], dict.fromkeys(told, ERROR))
    ranked = {
        name: {(p, n): places[name, p].failed[n] for p in told for n in places[name, p].numbers}
        for name in names
    }
    facts = cast("Facts", SimpleNamespace(estimator=estimator))
    return Ranking(facts, tuple(told), tuple(names), RankedBy.FAILED, ranked)


def _episodes(failed: Array, requests: Array) -> EpisodeCounts:
    e, n = (tuple(int(each) for each in column) for column in (failed, requests))
    return EpisodeCounts(tuple(range(len(n))), n, e, e)


def false_bests(model: str) -> Counted:
    """Experiments of four equal arms and two phases in which any arm is called better than the control anywhere."""
    draw = np.random.default_rng(21)
    arms = [episodes(model, draw, (EXPERIMENTS, 2 * EPISODES)) for _ in range(4)]
    runs = (_ranking(arms, run, phases=2) for run in range(EXPERIMENTS))
    return sum(any(each.better_in(each.arms[1:], each.arms[0]).values()) for each in runs), EXPERIMENTS


def covered_ratios(arm: str | None, control: str) -> Counted:
    """Intervals of the ratio of two rates that contain the true one; None is an arm in which nothing fails."""
    draw = np.random.default_rng(22)
    theirs = episodes(control, draw, SHAPE)
    mine = episodes(arm, draw, SHAPE) if arm else (np.zeros(SHAPE), theirs[1])
    truth = (true_rate(arm) if arm else 0.0) / true_rate(control)
    found = [_ratio(mine[0][n], mine[1][n], theirs[0][n], theirs[1][n]) for n in range(EXPERIMENTS)]
    told = [each for each in found if each is not None]
    return sum(each.low <= truth <= each.high for each in told), len(told)


def _ratio(mine: Array, asked: Array, theirs: Array, asked_theirs: Array) -> Interval | None:
    largest = float(max((mine / asked).max(), (theirs / asked_theirs).max()))
    pairs = ((mine, asked), (theirs, asked_theirs))
    ends = [rate_interval([int(x) for x in e], [int(x) for x in n], largest_rate=largest) for e, n in pairs]
    rates = [float(e.sum() / n.sum()) for e, n in pairs]
    return ratio_interval(rates[0], ends[0], rates[1], ends[1])


def seen_differences(model: str) -> Counted:
    """A difference of the size that a run of three arms says it could have seen: how often it is."""
    draw = np.random.default_rng(16)
    control, first, *others = (_rates(model, draw) for _ in range(4))
    promised = [smallest_seen(row.tolist(), tests=3) for row in first - control]
    size = float(np.median([each for each in promised if each is not None]))
    arms = [control, first + size, *others]
    return sum(_seen(arms, run)["0"] <= ERROR for run in range(EXPERIMENTS)), EXPERIMENTS


def false_decisions(model: str, error: float) -> Counted:
    """A truth that stands on the bound is on neither side: whenever the interval leaves it, the decision is false."""
    broken, requests = episodes(model, np.random.default_rng(17), (EXPERIMENTS, LOOKS[-1]))
    bound = true_rate(model)

    def decided(run: int, k: int) -> bool:
        e, n = ([int(each) for each in column[run, :k]] for column in (broken, requests))
        found = rate_interval(e, n, largest_rate=1, error=error)
        return found is not None and not found.low <= bound <= found.high

    return sum(any(decided(run, k) for k in LOOKS) for run in range(EXPERIMENTS)), EXPERIMENTS


def false_decisions_of_differences(model: str, error: float) -> Counted:
    """The same of what an equal arm adds to the control's rate: it is neither above 0 nor below it."""
    draw = np.random.default_rng(18)
    shape = (EXPERIMENTS, LOOKS[-1])
    arm, control = (np.divide(*episodes(model, draw, shape)) for _ in range(2))

    def decided(row: Array) -> bool:
        found = mean_interval(row.tolist(), error=error)
        return found is not None and not found.low <= 0 <= found.high

    return sum(any(decided(row[:k]) for k in LOOKS) for row in arm - control), EXPERIMENTS


def _line(*texts: str) -> None:
    print("| " + " | ".join(texts) + " |")


def _share(counted: Counted) -> str:
    return f"{100 * counted[0] / counted[1]:.1f} %"


def _figures() -> None:
    heads = (
        "false difference",
        *(f"covered, {k} episodes" for k in (5, 12, 24)),
        "false decision, three looks",
    )
    _line("episodes", *heads)
    _line(*("---" for _ in range(1 + len(heads))))
    for model in MODELS:
        coverage = (_share(covered_rates(model, k)) for k in (5, 12, 24))
        decisions = _share(false_decisions(model, ERROR / len(LOOKS)))
        _line(f"`{model}`", _share(false_differences_of_rates(model)), *coverage, decisions)
    print(
        f"\nlatencies: false {_share(false_differences_of_latencies())}, covered {_share(covered_latencies())}"
    )
    for arm, control in PAIRS:
        print(f"{arm or 'nothing'} − {control}: covered {_share(covered_differences(arm, control))}")
    for arm, control in PAIRS:
        print(f"{arm or 'nothing'} / {control}: covered {_share(covered_ratios(arm, control))}")
    for model in MODELS:
        print(f"{model}: an equal arm called better anywhere {_share(false_bests(model))}")
    for model in POWERED:
        print(f"{model}: a difference of the size promised is seen in {_share(seen_differences(model))}")
    for model in MODELS:
        print(
            f"{model}: with the whole error at each look, false decisions {_share(false_decisions(model, ERROR))}"
        )
        differences = _share(false_decisions_of_differences(model, ERROR / len(LOOKS)))
        print(f"{model}: false decisions about a difference at three looks {differences}")


if __name__ == "__main__":
    _figures()
