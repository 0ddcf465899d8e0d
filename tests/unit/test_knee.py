"""Which pool size is enough, from a curve of sizes; and what that says for other numbers of requests."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as some

from brokenpipe.interval import Interval
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.sizing.advice import (
    ServiceDemand,
    ceiling_size,
    rule_of_thumb_size,
    scale_size,
)
from brokenpipe.measure.sizing.curve import (
    FEWEST_EPISODES,
    PoolSize,
    Sufficiency,
    classify_size,
    find_knee,
)

# --- the knee -------------------------------------------------------------------------------------------

USE = PoolUsage(1, 1, 1, 1.0, 10, 0, 0, 0, 0, (0.0,), 10.0, 2.0, 1, 1)


def curve_of(rooms: Mapping[int, Sufficiency]) -> list[PoolSize]:
    return [
        PoolSize(f"size_{most}", USE, most, 10, 0, 0, 5.0, 100.0, 0.0, None, room)
        for most, room in rooms.items()
    ]


ROOMS = some.dictionaries(
    some.integers(1, 60), some.sampled_from(list(Sufficiency)), min_size=3, max_size=12
).map(lambda rooms: dict(sorted(rooms.items())))  # fmt: skip


@given(ROOMS)
def test_a_knee_is_enough_between_short_and_enough(rooms: dict[int, Sufficiency]) -> None:
    """It is enough itself, some smaller size is short, no larger one is, and no size in between is enough."""
    knee, why = find_knee(curve_of(rooms), 30)
    if knee is None:
        assert why
        shorts = [most for most, room in rooms.items() if room is Sufficiency.TOO_SMALL]
        beyond = [room for most, room in rooms.items() if shorts and most > shorts[-1]]
        assert not shorts or Sufficiency.SUFFICIENT not in beyond
        return
    assert rooms[knee.most] is Sufficiency.SUFFICIENT
    smaller = [room for most, room in rooms.items() if most < knee.most]
    larger = [room for most, room in rooms.items() if most > knee.most]
    assert Sufficiency.TOO_SMALL in smaller
    assert Sufficiency.TOO_SMALL not in larger
    last = len(smaller) - 1 - smaller[::-1].index(Sufficiency.TOO_SMALL)
    assert Sufficiency.SUFFICIENT not in smaller[last:]


S, M, E = Sufficiency.TOO_SMALL, Sufficiency.UNDECIDED, Sufficiency.SUFFICIENT


@pytest.mark.parametrize(
    ("rooms", "episodes", "why"),
    [
        ({2: S, 4: E}, 30, "2 sizes are no curve"),
        ({2: S, 4: E, 8: E}, FEWEST_EPISODES - 1, "5 blocks of 2 s: too few"),
        ({2: E, 4: E, 8: E}, 30, "not even 2: add smaller ones"),
        ({2: M, 4: E, 8: E}, 30, "not even 2: add smaller ones"),
        ({2: S, 4: E, 8: S}, 30, "waits stop falling above 2"),
        ({2: S, 4: M, 8: M}, 30, "whether 8 connections are enough cannot be told"),
    ],
)  # fmt: skip
def test_why_there_is_no_knee(rooms: dict[int, Sufficiency], episodes: int, why: str) -> None:
    """Each reason is named, with what to do about it."""
    knee, said = find_knee(curve_of(rooms), episodes)
    assert knee is None
    assert why in said


@pytest.mark.parametrize(
    ("wait", "interval", "timeouts", "room"),
    [
        (10.0, Interval(5, 20), 0, E),
        (10.0, Interval(5, 60), 0, M),
        (80.0, Interval(51, 99), 0, S),
        (10.0, Interval(5, 20), 1, S),  # a request that waited in vain is a fact
        (0.0, None, 0, E),  # all episodes alike
    ],
)  # fmt: skip
def test_when_a_pool_is_large_enough(
    wait: float, interval: Interval | None, timeouts: int, room: Sufficiency
) -> None:
    """Decided on the interval, 50 ms being tolerable."""
    assert classify_size(wait, interval, timeouts, 50.0) is room


# --- other numbers --------------------------------------------------------------------------------------

IN_USE = some.floats(0.05, 500)


BEYOND = some.floats(0, 6)  # how far the knee lies above what is in use, in standard deviations


def knee_at(in_use: float, beyond: float) -> int:
    return math.ceil(in_use + beyond * math.sqrt(in_use))


@given(IN_USE, BEYOND, some.booleans())
def test_the_same_numbers_keep_their_size(in_use: float, beyond: float, opened: bool) -> None:
    """What was measured for them is what they get."""
    knee = knee_at(in_use, beyond)
    assert scale_size(knee, in_use, in_use, opened=opened) == knee


@given(IN_USE, BEYOND, IN_USE, IN_USE)
def test_more_in_use_needs_more(in_use: float, beyond: float, one: float, other: float) -> None:
    """And at least as many as are in use on average."""
    less, more = sorted((one, other))
    small, large = (scale_size(knee_at(in_use, beyond), in_use, asked, opened=True) for asked in (less, more))
    assert small <= large
    assert large >= more - 1e-6


@given(some.floats(1, 100), some.floats(1, 4), some.integers(2, 16))
def test_two_pools_need_more_than_one(in_use: float, beyond: float, workers: int) -> None:
    """What is idle in one worker's pool helps no other: together they need at least what one needs."""
    knee = knee_at(in_use, beyond)
    one = scale_size(knee, in_use, 20.0, opened=True)
    each = scale_size(knee, in_use, 20.0 / workers, opened=True)
    assert workers * each >= one


def test_a_size_that_is_reached_as_rarely() -> None:
    """Ten in use, sixteen enough: in 5 of 100 moments more are wanted. Small pools need more."""
    assert [scale_size(16, 10.0, asked, opened=True) for asked in (0.12, 1.0, 15.0, 100.0)] == [2, 4, 23, 118]
    assert scale_size(16, 10.0, 20.0, opened=False) == 32


def test_rules_of_thumb() -> None:
    """As people state them: rounded up to a connection, the ceiling rounded down."""
    assert [
        rule_of_thumb_size(10, 1),
        rule_of_thumb_size(10, 2),
        rule_of_thumb_size(9.6, 1),
        rule_of_thumb_size(0.1, 4),
    ] == [12, 6, 12, 1]
    assert [ceiling_size(100, 1), ceiling_size(100, 4), ceiling_size(21, 2)] == [50, 12, 5]
    assert ServiceDemand(2, 40.0, 500.0, 100).usable_connections == 97
    assert ServiceDemand(2, 40.0, 500.0).in_use == 20
