"""The arithmetic of users and classes."""

from __future__ import annotations

import pytest

from brokenpipe.load.users.allocation import ClassWeight, allocate_users


def test_the_largest_remainders_win():
    """3.75 and 1.25 of five users are four and one; ties go to the class that comes first."""
    assert allocate_users(5, [ClassWeight(3, 0), ClassWeight(1, 0)]) == (4, 1)
    assert allocate_users(1, [ClassWeight(1, 0), ClassWeight(1, 0)]) == (1, 0)
    assert allocate_users(10, [ClassWeight(1, 0), ClassWeight(1, 0), ClassWeight(1, 0)]) == (4, 3, 3)


def test_fixed_counts_come_first():
    """What a class fixes it gets, the rest is shared by weight; too much or too little becomes weights."""
    assert allocate_users(10, [ClassWeight(1, 2), ClassWeight(3, 0), ClassWeight(1, 0)]) == (2, 6, 2)
    assert allocate_users(2, [ClassWeight(1, 3), ClassWeight(1, 1), ClassWeight(1, 0)]) == (2, 0, 0)
    assert allocate_users(6, [ClassWeight(1, 1), ClassWeight(1, 2)]) == (2, 4)


@pytest.mark.parametrize("users", [1, 7, 40])
def test_they_add_up(users):
    """Every arm gets exactly its users, whatever the weights."""
    assert (
        sum(
            allocate_users(
                users, [ClassWeight(0.1, 0), ClassWeight(7, 0), ClassWeight(3, 1), ClassWeight(0, 0)]
            )
        )
        == users
    )


def test_nobody_wishes():
    """Weights of zero and no fixed counts leave nobody to share among."""
    with pytest.raises(ValueError, match="no user class"):
        allocate_users(3, [ClassWeight(0, 0)])
