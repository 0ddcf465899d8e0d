"""The ids that a locustfile sets are remembered in a fixed amount of memory, however long a soak takes."""

from __future__ import annotations

from brokenpipe.load.used_ids import UsedIds

CAPACITY = 2_000
BITS = CAPACITY * 44


def test_memory_does_not_grow_with_requests() -> None:
    """After twenty times its capacity it is as large as after three times; before the first id it takes nothing."""
    used = UsedIds(CAPACITY, BITS)
    sizes = [used.size_bytes]
    for number in range(20 * CAPACITY):
        used.add(f"request-{number}")
        if number in {3 * CAPACITY, 20 * CAPACITY - 1}:
            sizes.append(used.size_bytes)
    assert sizes == [0, 2 * BITS // 8, 2 * BITS // 8]


def test_an_id_used_again_within_the_capacity_is_noticed() -> None:
    """Always: whatever came in between, as long as that is no more than the capacity."""
    used = UsedIds(CAPACITY, BITS)
    for number in range(5 * CAPACITY):
        used.add(f"request-{number}")
        if number >= CAPACITY and number % 97 == 0:
            assert not used.add(f"request-{number - CAPACITY // 2}")
    used.add("same")
    assert not any(used.add("same") for _ in range(3 * CAPACITY))


def test_new_ids_are_hardly_ever_taken_for_used_ones() -> None:
    """Of 40,000 ids that are all different at most a few: they only get a longer id."""
    used = UsedIds(CAPACITY, BITS)
    assert sum(not used.add(f"request-{number}") for number in range(20 * CAPACITY)) <= 40
