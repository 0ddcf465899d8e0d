"""Child processes: their log, their environment, their end. None of these needs a server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.processes import alive

from brokenpipe.errors import StackError
from brokenpipe.stack.processes import process
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.process import child
from brokenpipe.stack.processes.process_tree import freeze
from brokenpipe.stack.processes.watched_janitor import janitor


def _python(program: str) -> list[str]:
    return [sys.executable, "-S", "-c", program]


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"waited 20 s for {what}"
        time.sleep(0.01)


def test_its_log_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that prints without end neither fills the disk nor waits for us: it prints on and ends well."""
    monkeypatch.setattr(process, "LOG_CAP_BYTES", 10_000)
    log = tmp_path / "noisy.log"
    program = "import sys\nfor n in range(40): sys.stdout.write('x' * 9_999 + '\\n')"
    with child("noisy", _python(program), log_path=log, janitor=NoJanitor()) as noisy:
        _until(lambda: not noisy.running, "a child that prints 400 kB")
        assert noisy.popen.returncode == 0
    text = log.read_text(encoding="utf-8")
    assert text.startswith("x" * 9_999)
    assert text.endswith("… log capped at 10,000 bytes\n")
    assert len(text) < 10_100


def test_it_gets_nothing_of_the_shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small clean environment and the run's mark: no secret of the shell reaches a target or its log."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    log = tmp_path / "env.log"
    program = "import os\nfor name in sorted(os.environ): print(name)"
    with child("env", _python(program), log_path=log, janitor=NoJanitor()) as printing:
        _until(lambda: not printing.running, "a child that prints its environment")
    names = set(log.read_text(encoding="utf-8").split())
    assert "AWS_SECRET_ACCESS_KEY" not in names
    assert {"PATH", "BROKENPIPE_RUN"} <= names


def test_it_ends_with_the_block(tmp_path: Path) -> None:
    """It is asked by its signal, and ended when it does not listen."""
    log = tmp_path / "deaf.log"
    program = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\ntime.sleep(600)"
    )
    with child("deaf", _python(program), log_path=log, janitor=NoJanitor(), stop_timeout_s=0.2) as deaf:
        _until(lambda: "deaf" in deaf.last_lines(), "a child that is deaf to SIGTERM")
    assert deaf.popen.returncode == -signal.SIGKILL


def test_its_last_lines_are_for_an_error_message(tmp_path: Path) -> None:
    """The end of its log, as many lines as asked for; a log that is not there yet has none."""
    log = tmp_path / "talking.log"
    program = "for n in range(50): print('line', n)"
    with child("talking", _python(program), log_path=log, janitor=NoJanitor()) as talking:
        _until(lambda: len(talking.last_lines(100)) == 50, "fifty lines")
        assert talking.last_lines(2) == ("line 48", "line 49")
    log.unlink()
    assert talking.last_lines() == ()


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    """The message names the part of the stack and the program, and says what to check."""
    with (
        pytest.raises(StackError, match=r"postgres: /no/such/postgres cannot be started") as caught,
        child("postgres", ["/no/such/postgres"], log_path=tmp_path / "log", janitor=NoJanitor()),
    ):
        pass
    assert caught.value.remedy


def test_the_janitor_wakes_what_stands_still() -> None:
    """One that was frozen when its harness ended still hears what it is asked, and ends in its own way."""
    ends_by_itself = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
    ends_by_itself += "print('ready', flush=True); time.sleep(60)"
    argv = [sys.executable, "-c", ends_by_itself]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as frozen, janitor("test-of-waking") as undo:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == b"ready\n"
        freeze(frozen.pid)
        undo.register_process(frozen.pid, signal.SIGTERM)
    assert frozen.returncode == 7


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_its_log_holds_no_secret(size: int) -> None:
    """Wherever two reads have cut one in two; and all that is none comes through."""
    text = b"one hunter2 two hunter hunterhunter2\nhunter22 hunt"
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    found = b"".join(process.without_secrets(chunks, ["hunter22", "hunter2"])).decode()
    expected = "one ‹redacted› two hunter hunter‹redacted›\n‹redacted›{} hunt"
    assert found in {expected.format(""), expected.format("2")}, "a longer one may have lost its end"


# A service that ends at once when it is asked to, and leaves a child that stands still.
FORSAKING = """
import os, signal, subprocess, sys, time
left = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
os.kill(left.pid, signal.SIGSTOP)
print(left.pid, flush=True)
if sys.argv[1:] == ["standing"]:
    os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(600)
"""


@pytest.mark.parametrize("itself", [(), ("standing",)])
def test_it_ends_with_all_that_it_has_started(tmp_path: Path, itself: tuple[str, ...]) -> None:
    """A grandchild that stands still does not outlive the block; a child that stands still is woken to hear its end."""
    log = tmp_path / "forsaking.log"
    with child("forsaking", [*_python(FORSAKING), *itself], log_path=log, janitor=NoJanitor()) as parent:
        _until(lambda: bool(parent.last_lines()), "its child")
        left = psutil.Process(int(parent.last_lines()[0]))
        if itself:
            _until(lambda: psutil.Process(parent.pid).status() == psutil.STATUS_STOPPED, "its standstill")
    assert not alive(left)
    assert parent.popen.returncode == -signal.SIGTERM
