"""Tests of histories and clocks, on a machine that booted a moment ago and on one that has been up for years.

A time namespace gives a process a monotonic clock of its own. Whatever depends on how long this machine has been up
fails in one of the two.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLOCKED = [
    "test_workers.py::test_a_worker_on_another_clock_is_read_on_ours[-99777000000000]",
    "test_parts.py::test_all_parts_count_as_one",
    "test_moved.py::test_every_time_is_moved",
]
YEARS_S = 5 * 365 * 24 * 3_600
JUST_BOOTED_S = 3


def _offset_s(up_s: int) -> int:
    """What to add to this machine's clock for it to show `up_s`."""
    return up_s - int(time.clock_gettime(time.CLOCK_MONOTONIC))


@pytest.mark.skipif(sys.platform != "linux", reason="time namespaces are Linux's")
@pytest.mark.parametrize("up_s", [JUST_BOOTED_S, YEARS_S], ids=["booted just now", "up for five years"])
def test_nothing_depends_on_how_long_the_machine_is_up(up_s: int) -> None:
    """The tests whose subject are times pass on either clock."""
    offset_s = _offset_s(up_s)
    clock = ["unshare", "--user", "--map-root-user", "--time", "--fork"]
    clock += [f"--monotonic={offset_s}", f"--boottime={offset_s}"]
    shown = [sys.executable, "-c", "import time; print(time.monotonic())"]
    done = subprocess.run([*clock, *shown], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert abs(float(done.stdout) - up_s) < 60
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        *(
            "-p",
            "pytest_timeout",
            "-p",
            "no:cacheprovider",
        ),  # no other plugin: loading them takes longer than the tests
        *(str(HERE / name) for name in CLOCKED),
    ]
    done = subprocess.run(
        [*clock, *tests],
        cwd=HERE.parents[1],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
