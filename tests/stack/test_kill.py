"""kill -9 at any moment. The long form, by hand: python tests/stack/kill_runs.py --runs 20"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from tests.stack.kill_runs import kill_one, kill_runs
from tests.stack.leftovers import Leftovers
from tests.stack.runs import REPOSITORY, Run, Starter, eventually
from tests.stack.test_doubts import _phase_began

START_UP_S = 5.0  # on two quiet cores


def test_killed_at_any_moment_it_leaves_nothing_but_its_history(tmp_path: Path) -> None:
    """Within 5 s of a kill -9 no process, port, folder or shared memory is left, and the folder can be reported."""
    (killed,) = kill_runs(tmp_path, runs=1, seed=7, whole_run_s=START_UP_S)
    assert killed.good, str(killed)


def test_killed_at_work_it_leaves_none_of_its_workers(tmp_path: Path) -> None:
    """The same in a phase: master and workers of the load, and services with workers of their own."""

    def in_a_phase(run: Run) -> None:
        eventually(lambda: _phase_began(run), "no phase began", timeout_s=150)

    killed = kill_one(Starter(tmp_path), in_a_phase, "local", "--workers", "2")
    assert killed.processes > 10
    assert killed.report == "made"
    assert killed.good, str(killed)


POSTGRES_ONLY = """
import sys
from pathlib import Path
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.postgres.server import postgres

with janitor("a-run-of-a-test") as undo:
    print("begun", flush=True)
    with postgres(log_path=Path(sys.argv[1]), janitor=undo):
        print("ready", flush=True)
        sys.stdin.read()
"""
MOMENTS = 5

DAEMON_ONLY = """
import sys
from pathlib import Path
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.processes.process import child

TARGET = '''
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600)
'''
with janitor("a-run-of-a-test") as undo:
    with child("target", [sys.executable, "-c", TARGET], log_path=Path(sys.argv[1]), janitor=undo):
        sys.stdin.read()
"""


def test_a_daemon_that_a_target_left_behind_goes_too(tmp_path: Path) -> None:
    """A grandchild in a session of its own, whose parent has ended, is no child of anything any more."""
    tmp, log = tmp_path / "tmp", tmp_path / "log"
    tmp.mkdir()
    leftovers = Leftovers(tmp)
    with _harness(DAEMON_ONLY, log, tmp) as harness:
        daemon = eventually(
            lambda: log.read_text().strip() if log.is_file() else None, "the daemon did not start"
        )
        eventually(lambda: psutil.Process(int(daemon)).ppid() != harness.pid, "it is no daemon")
        leftovers.note(harness.pid)
        harness.send_signal(signal.SIGKILL)
    _, left = leftovers.gone_after()
    assert not left


def test_killed_while_the_toxiproxy_server_is_built_it_leaves_no_half_of_it(tmp_path: Path) -> None:
    """Neither the compiler nor its folders go on; the next run builds it."""
    for name in ("scenarios", "targets"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    shutil.copytree(REPOSITORY / "proxies", tmp_path / "proxies", ignore=shutil.ignore_patterns(".build"))
    built = tmp_path / "proxies" / ".build"
    env = {"GOCACHE": str(tmp_path / "cache")}  # an empty one: it takes its time
    with Starter(tmp_path).start("run", "default", "--reports", tmp_path, cwd=tmp_path, env=env) as run:
        eventually(lambda: list(built.glob("fresh-*/go-build*")), "the compiler did not start")
        run.send(signal.SIGKILL)
    assert list(built.iterdir()) == []


def test_killed_while_a_database_is_made_it_leaves_no_memory(tmp_path: Path) -> None:
    """initdb starts servers of its own, whose shared memory outlives them: it is gone as well."""
    made_in_s = _killed_database(tmp_path / "whole", None)
    for number in range(MOMENTS):
        _killed_database(tmp_path / f"{number}", (number + 0.5) / MOMENTS * made_in_s)


def _killed_database(folder: Path, after_s: float | None) -> float:
    """Kill whoever starts a Postgres some seconds after it began, or once it is up. Seconds it lived."""
    tmp = folder / "tmp"
    tmp.mkdir(parents=True)
    leftovers = Leftovers(tmp)
    with _harness(POSTGRES_ONLY, folder / "log", tmp) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"begun\n"
        begun = time.monotonic()
        if after_s is None:
            assert harness.stdout.readline() == b"ready\n"
        else:
            eventually(lambda: time.monotonic() - begun >= after_s, "time stands still")
        lived_s = time.monotonic() - begun
        leftovers.note(harness.pid)
        harness.send_signal(signal.SIGKILL)
    _, left = leftovers.gone_after()
    assert not left, f"killed {lived_s:.2f} s after its beginning: {left}"
    return lived_s


def _harness(program: str, log: Path, tmp: Path) -> subprocess.Popen[bytes]:
    """A harness that does one thing only."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(log)],
        # Without a template of Postgres's data: initdb is to run.
        env={
            "PATH": os.environ["PATH"],
            "TMPDIR": str(tmp),
            "XDG_CACHE_HOME": str(tmp.with_name(f"{tmp.name}-cache")),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
