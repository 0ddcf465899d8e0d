"""What stands still while a run starts is ended, so that nobody waits for it for ever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from brokenpipe.errors import PostgresError, StackError
from brokenpipe.stack.processes.standstill import ending_stopped_processes


@pytest.fixture
def started() -> Iterator[psutil.Process]:
    """A process that would go on for a minute."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as popen:
        try:
            yield psutil.Process(popen.pid)
        finally:
            popen.kill()


def _fail_after(process: psutil.Process, *, wait_s: float, patience_s: float) -> None:
    """Wait for a process as somebody does who starts it, and find that something failed."""
    with ending_stopped_processes(patience_s=patience_s):
        with suppress(psutil.TimeoutExpired):
            process.wait(timeout=wait_s)
        raise PostgresError("postgres ended while starting")


def test_who_waits_for_a_stopped_process_gets_an_answer(started: psutil.Process) -> None:
    """The error names the process and what was the matter with it, and keeps what came of it."""
    started.suspend()
    with pytest.raises(StackError, match=rf"process {started.pid} .* stood still for 0.3 s") as caught:
        _fail_after(started, wait_s=30, patience_s=0.3)
    assert "SIGSTOP" in caught.value.remedy
    assert caught.value.details == ("what came of it: postgres ended while starting",)


def test_what_goes_on_is_left_alone(started: psutil.Process) -> None:
    """An error is what it was, and nothing is ended."""
    with pytest.raises(PostgresError):
        _fail_after(started, wait_s=1.5, patience_s=0.1)
    assert started.is_running()


def test_what_is_continued_in_time_is_left_alone(started: psutil.Process) -> None:
    """A fault that makes a server stand still is tried in a start, too."""
    with ending_stopped_processes(patience_s=2.0):
        for _ in range(3):
            started.suspend()
            with pytest.raises(psutil.TimeoutExpired):
                started.wait(timeout=0.8)
            started.resume()
            with pytest.raises(psutil.TimeoutExpired):
                started.wait(timeout=0.6)
    assert started.is_running()


PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"])
"""


def test_a_family_that_stands_still_is_ended_whole() -> None:
    """Also those whose parent is ended first, and who are nobody's children from then on."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as popen:
        assert popen.stdout is not None
        popen.stdout.readline()
        parent = psutil.Process(popen.pid)
        family = [parent, *parent.children(recursive=True)]
        for each in family:
            each.suspend()
        with ending_stopped_processes(patience_s=0.3):
            _, alive = psutil.wait_procs(family, timeout=30)
    assert len(family) == 2
    assert not alive
