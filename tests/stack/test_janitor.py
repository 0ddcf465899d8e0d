"""The janitor is watched itself: one that ends or stands still is replaced by one that knows all that it knew."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

import psutil
import pytest
from tests.processes import alive

from brokenpipe.drive.runner import _check_then_show, record_janitor_replaced
from brokenpipe.errors import StackError
from brokenpipe.history.fsync import Fsyncer
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.writer import open_writer
from brokenpipe.progress import Progress
from brokenpipe.stack.processes import watched_janitor as module
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.processes.watched_janitor import janitor

pytestmark = pytest.mark.timeout(120)

HARNESS = """
import subprocess, sys, time
from pathlib import Path
from brokenpipe.stack.processes.watched_janitor import janitor

with janitor("test-of-janitors", on_replaced=lambda text: print("replaced", undo.pid, flush=True)) as undo:
    folder = Path(sys.argv[1])
    undo.register_folder(folder)
    folder.mkdir()
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    undo.register_process(sleeper.pid)
    print(undo.pid, sleeper.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_is_gone_is_replaced(tmp_path: Path, how: signal.Signals) -> None:
    """Killed, or made to stand still: when the harness is killed after that, nothing is left all the same."""
    folder = tmp_path / "of-the-run"
    argv = [sys.executable, "-c", HARNESS, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        first, sleeper = map(psutil.Process, map(int, harness.stdout.readline().split()))
        first.send_signal(how)
        second = psutil.Process(int(harness.stdout.readline().split()[1]))
        assert second.pid != first.pid
        assert not alive(first)
        harness.kill()
        assert poll(
            lambda: None if folder.exists() or alive(sleeper) or alive(second) else True, timeout_s=20
        )


def test_a_replacement_is_on_record(tmp_path: Path) -> None:
    """A note in the history: the figures do not depend on it."""
    with open_writer(tmp_path / "experiment.ndjson", "experiment") as log:
        told = threading.Event()

        def replaced(text: str) -> None:
            record_janitor_replaced(log, text)
            told.set()

        with janitor("test-of-records", replaced) as undo:
            psutil.Process(undo.pid).kill()
            assert told.wait(20)
            undo.check()
    doubt = json.loads((tmp_path / "experiment.ndjson").read_text().splitlines()[1])
    assert (doubt["code"], doubt["unknown"]) == (Code.JANITOR_LOST, False)
    assert "another, which knows all that it knew, has taken its place" in doubt["text"]


def test_a_run_without_one_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be replaced, what the harness shows next ends the run, as a stack that did not start does: 4."""
    with janitor("test-of-the-end") as undo:
        monkeypatch.setattr(sys, "executable", "/no/such/python")
        psutil.Process(undo.pid).kill()
        assert poll(lambda: _refuses(undo) or None, timeout_s=20)
        progress = Progress(message="", elapsed_s=0.0, total_s=1.0)
        with pytest.raises(StackError, match="cannot be replaced"):
            _check_then_show(Fsyncer(tmp_path), undo, lambda _: None, progress)


def _refuses(undo: Janitor) -> bool:
    try:
        undo.check()
    except StackError:
        return True
    return False


def test_those_that_end_at_once_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A janitor that cannot live is not started for ever."""
    monkeypatch.setattr(module, "CHECK_INTERVAL_S", 0.01)
    with janitor("test-of-short-lives") as undo:
        monkeypatch.setattr(sys, "executable", "/bin/true")
        psutil.Process(undo.pid).kill()
        assert poll(lambda: _refuses(undo) or None, timeout_s=20)


def test_one_that_ends_while_it_is_told_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a process nor its pipe is left over, which Python would complain of somewhere else."""
    monkeypatch.setattr(sys, "executable", "/bin/true")
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(BrokenPipeError):
        module._start_process(["line\n"] * 100_000)  # more than a pipe holds
    assert {child.pid for child in psutil.Process().children()} <= before


def test_many_threads_tell_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arms start together: each line arrives whole, and once."""
    took = tmp_path / "took.py"
    lines = tmp_path / "lines"
    took.write_text(f"import sys\nopen({str(lines)!r}, 'w').write(sys.stdin.read())\n")
    monkeypatch.setattr(module, "SCRIPT", str(took))
    with janitor("test-of-threads") as undo:
        folders = [[Path(f"/{n}/{'x' * 200}/{each}") for each in range(200)] for n in range(16)]
        threads = [
            threading.Thread(target=lambda some=some: deque(map(undo.register_folder, some), maxlen=0))
            for some in folders
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = sorted(json.loads(line).get("folder", "") for line in lines.read_text().splitlines())
    assert told == sorted(["", *(str(each) for some in folders for each in some)])
