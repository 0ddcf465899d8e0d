"""How many examples the property tests draw, and what any answer must be like.

A few by default, always the same. `BROKENPIPE_EXAMPLES=300` draws so many, `BROKENPIPE_SEED=7` others.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.unit.shell import Answer

SEED = int(os.environ.get("BROKENPIPE_SEED", "0"))
ENOUGH_S = 20.0  # of processor time, on a machine that others use as well; without them it is below 5
ENOUGH_CHARACTERS = 20_000

draws = st.integers(0, 2**32 - 1).map(lambda number: random.Random(f"{SEED}/{number}"))


def bounded(examples: int) -> settings:
    """So many examples unless the environment says how many."""
    return settings(
        max_examples=int(os.environ.get("BROKENPIPE_EXAMPLES", examples)),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def soon() -> Iterator[None]:
    """What takes longer than that hangs."""
    before = time.process_time()
    yield
    assert time.process_time() - before < ENOUGH_S


def assert_short_and_plain(answer: Answer) -> None:
    """No traceback, no more than a few pages, and nothing that a terminal obeys."""
    said = answer.out + answer.err
    assert "Traceback" not in said
    assert len(said) < ENOUGH_CHARACTERS
    assert all(character.isprintable() or character == "\n" for character in said)
