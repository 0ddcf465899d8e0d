"""The arithmetic of users and classes."""

from __future__ import annotations

import pytest

from brokenpipe.load.users.allocation import Wish, shares


def test_the_largest_remainders_win():
    """3.75 and 1.25 of five users are four and one; ties go to the class that comes first."""
    assert shares(5, [Wish(3, 0), Wish(1, 0)]) == (4, 1)
    assert shares(1, [Wish(1, 0), Wish(1, 0)]) == (1, 0)
    assert shares(10, [Wish(1, 0), Wish(1, 0), Wish(1, 0)]) == (4, 3, 3)


def test_fixed_counts_come_first():
    """What a class fixes it gets, the rest is shared by weight; too much or too little becomes weights."""
    assert shares(10, [Wish(1, 2), Wish(3, 0), Wish(1, 0)]) == (2, 6, 2)
    assert shares(2, [Wish(1, 3), Wish(1, 1), Wish(1, 0)]) == (2, 0, 0)
    assert shares(6, [Wish(1, 1), Wish(1, 2)]) == (2, 4)


@pytest.mark.parametrize("users", [1, 7, 40])
def test_they_add_up(users):
    """Every arm gets exactly its users, whatever the weights."""
    assert sum(shares(users, [Wish(0.1, 0), Wish(7, 0), Wish(3, 1), Wish(0, 0)])) == users


def test_nobody_wishes():
    """Weights of zero and no fixed counts leave nobody to share among."""
    with pytest.raises(ValueError, match="no user class"):
        shares(3, [Wish(0, 0)])
