"""Ctrl-C and SIGTERM, at every stage of a run: what was recorded is kept and reported, and everything ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
from tests.stack.leftovers import Leftovers
from tests.stack.runs import BROKENPIPE, LONG, STEADY, Run, Starter, eventually, write_scenario

QUIET = """
[[phases]]
name = "quiet"
fault = { name = "idle_reset", after_ms = 50_000 }
episodes = 1
quiet_s = 60
burst_s = 0.2
"""
ONE_KILL = """
[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 1
every_s = 0.5
"""
START_S = 150.0  # on a busy machine
CTRL_C = b"\x03"
SHOW_CURSOR = b"\x1b[?25h"
HIDE_CURSOR = b"\x1b[?25l"


@contextmanager
def running(brokenpipe: Starter, project: Path, phases: str) -> Iterator[Run]:
    """A run of a service that starts quickly."""
    scenario = _scenario(brokenpipe, project, phases, "plain = {}")
    with brokenpipe.start(
        "run", scenario, "--reports", brokenpipe.folder / "reports", cwd=project, html=True
    ) as run:
        yield run


def _scenario(brokenpipe: Starter, project: Path, phases: str, arms: str = "plain = {}\nother = {}") -> Path:
    return write_scenario(
        brokenpipe.folder / "cut.toml",
        phases,
        target="threaded",
        locustfile=project / "scenarios" / "locustfile.py",
        arms=arms,
        env={"LEDGER": str(brokenpipe.folder / "ledger")},
    )


def _has_begun(run: Run, seconds: float = 0.5) -> bool:
    """Its first phase began so long ago."""
    try:
        begun = [each for each in run.history("experiment.ndjson", "phase") if each["edge"] == "begin"]
    except (OSError, ValueError):
        return False
    return bool(begun) and time.monotonic_ns() - begun[0]["t"] > seconds * 1e9


def _how_it_finished(run: Run) -> str:
    (finish,) = run.history("experiment.ndjson", "finish")
    return str(finish["how"])


def test_ctrl_c_while_starting(brokenpipe: Starter, project: Path) -> None:
    """Before the first phase there is nothing to measure; the history says that it was interrupted."""
    with running(brokenpipe, project, STEADY) as run:
        run.wait_for("starting Postgres")
        run.send(signal.SIGINT)
        assert run.end() == 130, run.out
    assert _how_it_finished(run) == "interrupted"
    assert "Traceback" not in run.out
    assert "UNKNOWN" in run.last_line


def test_ctrl_c_while_the_report_is_made(brokenpipe: Starter, project: Path) -> None:
    """The measurement is complete by then: the report is finished all the same."""
    with running(brokenpipe, project, ONE_KILL) as run:
        run.wait_for("stopping")
        eventually(lambda: run.history("experiment.ndjson", "finish"), "the history did not end")
        run.send(signal.SIGINT)
        assert run.end() == 130, run.out
    assert _how_it_finished(run) == "done"
    assert (run.folder / "report.html").is_file()
    assert str(run.folder / "report.html") in run.last_line


def test_sigterm_in_mid_phase(brokenpipe: Starter, project: Path) -> None:
    """It is reported and exits 3, without waiting for a socket that is to be idle for another minute."""
    with running(brokenpipe, project, QUIET) as run:
        eventually(lambda: _has_begun(run, seconds=1.0), "no phase began", timeout_s=START_S)
        asked = time.monotonic()
        run.send(signal.SIGTERM)
        assert run.end() == 3, run.out
        assert time.monotonic() - asked < 45
    assert _how_it_finished(run) == "terminated"
    assert (run.folder / "report.html").is_file()
    assert run.summary["verdict"] == "unknown"
    assert "UNKNOWN" in run.last_line
    assert "Traceback" not in run.out


def test_ctrl_c_in_a_terminal(brokenpipe: Starter, project: Path) -> None:
    """Everything in the foreground gets it, but only the harness acts: nothing failed because Postgres went first."""
    with _in_a_terminal(brokenpipe, _scenario(brokenpipe, project, LONG), project) as (run, terminal):
        eventually(lambda: _has_begun(run), "no phase began", timeout_s=START_S)
        run.leftovers.note(run.popen.pid)
        for child in psutil.Process(run.popen.pid).children():
            assert os.getsid(child.pid) == child.pid, (
                f"{child.cmdline()} is reached by this terminal's Ctrl-C"
            )
        terminal.press(CTRL_C)
        assert run.end() == 130, terminal.said
    assert _how_it_finished(run) == "interrupted"
    ends = run.history("requests.ndjson", "end")
    assert len(ends) > 10
    assert [end for end in ends if "failure" in end] == []
    assert run.summary["verdict"] == "unknown"
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", terminal.said).decode()
    assert "UNKNOWN" in text
    assert text.rstrip().endswith("report.html")
    assert terminal.said.rfind(SHOW_CURSOR) > terminal.said.rfind(HIDE_CURSOR) > -1


def test_a_second_ctrl_c_leaves_at_once(brokenpipe: Starter, project: Path) -> None:
    """Within a second, whatever is still running; the janitor ends that, and the terminal has its cursor back."""
    with _in_a_terminal(brokenpipe, _scenario(brokenpipe, project, STEADY), project) as (run, terminal):
        started = partial(brokenpipe.folder.rglob, "target-*.log")  # the terminal shows four steps a second
        eventually(lambda: list(started()), "no target was started", timeout_s=START_S)
        run.leftovers.note(run.popen.pid)
        asked = time.monotonic()
        _press_until_it_ends(run, lambda: terminal.press(CTRL_C))
        assert time.monotonic() - asked < 1.0
        assert run.popen.returncode == 130
    assert b"UNKNOWN" not in terminal.said
    assert terminal.said.rfind(SHOW_CURSOR) > terminal.said.rfind(HIDE_CURSOR) > -1


class Terminal:
    """The side of a terminal at which somebody sits: what was `said`, and keys to press."""

    def __init__(self, descriptor: int) -> None:
        self.said = b""
        self._descriptor = descriptor
        self._eyes = threading.Thread(target=self._read)
        self._eyes.start()

    def press(self, key: bytes) -> None:
        os.write(self._descriptor, key)

    def close(self) -> None:
        """When nobody has the other side open any more."""
        self._eyes.join()
        os.close(self._descriptor)

    def _read(self) -> None:
        with suppress(OSError):  # EIO is the end
            while chunk := os.read(self._descriptor, 65_536):
                self.said += chunk


@contextmanager
def _in_a_terminal(brokenpipe: Starter, scenario: Path, cwd: Path) -> Iterator[tuple[Run, Terminal]]:
    """A run as the foreground process of a terminal; what it leaves behind fails the test."""
    tmp = brokenpipe.folder / "tmp"
    tmp.mkdir()
    reports = brokenpipe.folder / "reports"
    ours, theirs = pty.openpty()
    run = Run(
        subprocess.Popen(
            # A session of its own whose terminal this is: what is pressed there reaches it as a signal.
            ["setsid", "--ctty", *BROKENPIPE, "run", str(scenario), "--reports", str(reports)],
            cwd=cwd,
            env={
                **os.environ,
                "TMPDIR": str(tmp),
                "TERM": "xterm-256color",
                "COLUMNS": "200",
                "PYTHONPATH": "",
            },
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ),
        Leftovers(tmp),
        reports,
        brokenpipe.folder / "nothing",
    )
    os.close(theirs)
    terminal = Terminal(ours)
    try:
        yield run, terminal
    finally:
        if run.popen.poll() is None:
            run.popen.kill()
            run.popen.wait()
        _, left = run.leftovers.gone_after()
        terminal.close()
    assert not left, f"left behind: {left}\n{terminal.said!r}"


def _press_until_it_ends(run: Run, press: Callable[[], object]) -> None:
    """Ctrl-C again and again, as someone who has had enough. Two that arrive at once count as one."""

    def pressed() -> bool:
        press()
        return run.popen.poll() is not None

    eventually(pressed, "it did not end", timeout_s=10)
