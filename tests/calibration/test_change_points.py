"""Change points: found where something changed for good, not in noise, and not for one odd night."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brokenpipe.measure.stats.change_points import MIN_SEGMENT, change_points, runs_after, runs_needed

PAGES = 50
SERIES = 12

Noise = Callable[[np.random.Generator, int], list[float]]


def _normal(draw: np.random.Generator, n: int) -> list[float]:
    return [float(each) for each in draw.normal(50, 5, n)]


def _skewed(draw: np.random.Generator, n: int) -> list[float]:
    return [float(each) for each in draw.lognormal(0, 1, n)]


def _mostly_nothing(draw: np.random.Generator, n: int) -> list[float]:
    return [float(each) for each in (draw.random(n) < 0.3) * draw.random(n)]


KINDS: tuple[Noise, ...] = (_normal, _skewed, _mostly_nothing)


def _page(draw: np.random.Generator, n: int) -> dict[str, list[float]]:
    return {str(i): KINDS[i % len(KINDS)](draw, n) for i in range(SERIES)}


def test_noise_has_no_change_points() -> None:
    """Of fifty pages of twelve series of twenty nights in which nothing changes, few mark anything."""
    draw = np.random.default_rng(1)
    marked = sum(any(change_points(_page(draw, 20)).values()) for _ in range(PAGES))
    assert marked <= 7  # 5 % of them, and three standard deviations


def test_a_step_among_noise_is_found_where_it_is() -> None:
    """Four standard deviations more in the last six of twenty nights: in nine pages of ten, within a night."""
    draw = np.random.default_rng(2)
    found: list[int] = []
    for _ in range(20):
        page = _page(draw, 20) | {"step": [50 + 20 * (n >= 14) + float(draw.normal(0, 5)) for n in range(20)]}
        found += change_points(page)["step"]
    near = sum(13 <= at <= 15 for at in found)
    assert near >= 17, found
    assert len(found) <= near + 2, found


def test_there_and_back_are_two_changes() -> None:
    """What was split off is asked again."""
    draw = np.random.default_rng(3)
    values = [50 + 30 * (12 <= n < 24) + float(draw.normal(0, 2)) for n in range(36)]
    assert change_points({"x": values})["x"] == (12, 24)


def test_one_odd_night_is_no_change() -> None:
    """However far away it is; nor are two."""
    draw = np.random.default_rng(4)
    values = _normal(draw, 30)
    values[10] = 1e6
    assert change_points({"x": values})["x"] == ()
    assert MIN_SEGMENT == 3


def test_too_few_runs_never_change() -> None:
    """With fewer than it takes, even the clearest step is not marked; with as many as it takes, it is."""
    series = 8
    needed = runs_needed(series)
    for n, seen in ((needed - 1, False), (needed, True)):
        step = [float(i + 100 * (i >= n // 2)) for i in range(n)]
        others = {str(i): [float((k * 7 + i) % n) for k in range(n)] for i in range(series - 1)}
        assert bool(change_points({"step": step} | others)["step"]) is seen, n
    assert runs_after(needed - 1, series) is None
    assert runs_after(needed, series) == needed // 2
    later = runs_after(60, series)
    assert later is not None
    assert later < 10 < needed


def test_what_never_varies_is_not_asked() -> None:
    """A rate that was 0 every night costs the others nothing."""
    step = [0.0, 0.1, 0.2, 0.1, 5.0, 5.1, 5.2, 5.1]
    flat = {str(i): [0.0] * 8 for i in range(50)}
    assert change_points({"step": step} | flat)["step"] == (4,)
