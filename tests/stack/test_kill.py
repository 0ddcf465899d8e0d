"""kill -9 at any moment. The long form, by hand: python tests/stack/kill_nine.py --runs 20"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.stack.kill_nine import kill_runs
from tests.stack.runs import eventually
from tests.stack.traces import Traces

WHOLE_RUN_S = 13.0  # on two quiet cores; on slower ones the last moment comes earlier in the run


def test_killed_at_any_moment_it_leaves_nothing_but_its_history(tmp_path: Path) -> None:
    """Within 5 s of a kill -9 no process, port, folder or shared memory is left, and the folder can be reported."""
    for killed in kill_runs(tmp_path, runs=3, seed=7, whole_run_s=WHOLE_RUN_S):
        assert killed.good, str(killed)


POSTGRES_ONLY = """
import sys
from pathlib import Path
from brokenpipe.stack.janitor import janitor
from brokenpipe.stack.postgres import postgres

with janitor("a-run-of-a-test") as undo:
    print("begun", flush=True)
    with postgres(log_path=Path(sys.argv[1]), janitor=undo):
        print("ready", flush=True)
        sys.stdin.read()
"""
MOMENTS = 8


def test_killed_while_a_database_is_made_it_leaves_no_memory(tmp_path: Path) -> None:
    """initdb starts servers of its own, whose shared memory outlives them: it is gone as well."""
    made_in_s = _killed_database(tmp_path / "whole", None)
    for number in range(MOMENTS):
        _killed_database(tmp_path / f"{number}", (number + 0.5) / MOMENTS * made_in_s)


def _killed_database(folder: Path, after_s: float | None) -> float:
    """Kill whoever starts a Postgres some seconds after it began, or once it is up. Seconds it lived."""
    tmp = folder / "tmp"
    tmp.mkdir(parents=True)
    traces = Traces(tmp)
    with subprocess.Popen(
        [sys.executable, "-c", POSTGRES_ONLY, str(folder / "log")],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"begun\n"
        begun = time.monotonic()
        if after_s is None:
            assert harness.stdout.readline() == b"ready\n"
        else:
            eventually(lambda: time.monotonic() - begun >= after_s, "time stands still")
        lived_s = time.monotonic() - begun
        traces.note(harness.pid)
        harness.send_signal(signal.SIGKILL)
    _, left = traces.gone_after()
    assert not left, f"killed {lived_s:.2f} s after its beginning: {left}"
    return lived_s
