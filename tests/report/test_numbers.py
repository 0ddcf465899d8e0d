"""How numbers are written."""

from __future__ import annotations

import pytest

from brokenpipe import formatting
from brokenpipe.interval import Interval


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.00001, "< 0.01 %"),
        (0.00052, "0.05 %"),
        (0.008, "0.8 %"),
        (0.0421, "4.2 %"),
        (0.12, "12 %"),
        (0.994, "99 %"),
        (0.9996, "99.9 %"),
        (1.0, "100 %"),
        (None, "–"),
    ],
)
def test_a_share_has_two_digits_and_never_rounds_up_to_everything(share: float | None, text: str) -> None:
    """A share is written with the digits that matter, and less than all stays less than 100 %."""
    assert formatting.plain(formatting.percent(share)) == text


def test_an_interval_names_its_unit_once() -> None:
    """An interval reads "0.4–1.6 %"; none at all is empty."""
    assert formatting.plain(formatting.percent_interval(Interval(0.004, 0.016))) == "0.4–1.6 %"
    assert formatting.percent_interval(None) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 ms"), (0.421, "0.42 ms"), (4.21, "4.2 ms"), (9.97, "10 ms"), (57.4, "57 ms"),
     (1240.0, "1,240 ms"), (12_400.0, "12 s"), (None, "–")],
)  # fmt: skip
def test_milliseconds(value: float | None, text: str) -> None:
    """A latency has two or three digits, and becomes seconds from ten seconds on."""
    assert formatting.plain(formatting.milliseconds(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.2, "+3.2 ms"), (-0.18, "−0.2 ms"), (0.04, "±0 ms"), (103.7, "+104 ms"), (None, "–")],
)
def test_a_difference_shows_its_sign_and_no_false_precision(value: float | None, text: str) -> None:
    """A difference carries a sign; one below a twentieth of a millisecond is no difference."""
    assert formatting.plain(formatting.added_ms(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (0.42, "0.42 s"),
        (57.0, "57 s"),
        (125.0, "2 min 5 s"),
        (120.0, "2 min"),
        (3660.0, "1 h 1 min"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    """A duration is written in the units that people use for its size."""
    assert formatting.plain(formatting.seconds(value)) == text


def test_a_number_and_its_unit_stay_on_one_line() -> None:
    """Between a number and its unit stands a space that no browser breaks at."""
    for text in (
        formatting.percent(0.5),
        formatting.milliseconds(5),
        formatting.seconds(5),
        formatting.megabytes(10**7),
    ):
        assert " " not in text
        assert formatting.THIN in text
