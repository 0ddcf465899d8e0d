"""The witness in a service that forks: its child begins with nothing of its parent's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import brokenpipe.witness

SITE = Path(brokenpipe.witness.__file__).parent / "site"

FORKS = """
import os
from brokenpipe_witness import tally

tally._add(1, [])
with tally._LOCK:  # as the thread does that writes the sums down
    child = os.fork()
    if child == 0:
        free = tally._LOCK.acquire(timeout=2)
        os._exit(0 if free and tally._sums is None else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, "the child waits for its parent's lock, or tells its sums again"
assert tally._sums.requests == 1
"""


def test_a_forked_child_neither_hangs_nor_tells_its_parents_sums_again() -> None:
    """A lock that is held while a service forks is never released in the child, and sums would count twice."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        env={"PYTHONPATH": str(SITE)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
