"""The witness in a service that forks: its child begins with nothing of its parent's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import brokenpipe.witness

SITE = Path(brokenpipe.witness.__file__).parent / "site"

FORKS = """
import os
from brokenpipe_witness import aggregates

aggregates._add(1, 1, None, [])
with aggregates._LOCK:  # as the thread does that writes the sums down
    child = os.fork()
    if child == 0:
        free = aggregates._LOCK.acquire(timeout=2)
        os._exit(0 if free and aggregates._sums is None else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, "the child waits for its parent's lock, or tells its sums again"
assert aggregates._sums.requests == 1
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


ERROR = """
from brokenpipe_witness.exception_chain import describe

print(describe(ValueError("Incorrect API key provided: sk-hunter2, of u-east; 1234; https://me:pw@x/"))[0]["text"])
"""


def test_a_text_of_an_error_holds_no_secret() -> None:
    """An error of another service often quotes the key that it did not like."""
    variables = {
        "API_KEY": "sk-hunter2",
        "REGION": "u-east",
        "PIN": "1234",
        "BROKENPIPE_HIDDEN": "API_KEY,REGION,PIN",
    }
    done = subprocess.run(
        [sys.executable, "-c", ERROR],
        env={"PYTHONPATH": str(SITE), **variables},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stdout == "Incorrect API key provided: ***, of ***; 1234; https://***@x/\n", done.stderr
