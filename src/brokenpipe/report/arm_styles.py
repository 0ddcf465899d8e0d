"""How an arm looks, by its place among the arms: on every page, in charts and beside its name."""

from __future__ import annotations

COLOURS = 8
DASHES: tuple[tuple[int, ...], ...] = (
    (), (9, 3), (2, 2), (9, 3, 2, 3), (16, 4), (5, 2, 1, 2, 1, 2), (4, 4), (1, 3),
)  # fmt: skip


def colour_of(index: int) -> int:
    """Give the number of an arm's colour: a CSS variable `--arm-N` of the page."""
    return index % COLOURS


def dash_of(index: int) -> tuple[int, ...]:
    """Give an arm's dashes, so that colour is never the only difference; they shift after each round."""
    return DASHES[(index + index // COLOURS) % len(DASHES)]
