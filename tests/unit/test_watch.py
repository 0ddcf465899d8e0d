"""What the watch sees of processes, and what it writes down of that."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import pytest

from brokenpipe.drive.gauges.sampler import SampledProcess
from brokenpipe.drive.watch import watch as watch_module
from brokenpipe.drive.watch.process_states import JANITOR, ProcessStates, SilenceKey
from brokenpipe.drive.watch.watch import Watch
from brokenpipe.history.records import Record
from brokenpipe.history.silences import SilenceEdge
from brokenpipe.stack.processes.ports import poll

PARENT = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process and a child of it."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        yield parent, child
        child.kill()
        parent.kill()


def _until(states: ProcessStates, expected: set[SilenceKey]) -> None:
    assert poll(lambda: set(states.check()) == expected or None, timeout_s=10), set(states.check())


def test_any_process_of_a_part_is_looked_at(family: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    """A worker stands still while its parent goes on; the part is the one above it that is watched."""
    parent, child = family
    states = ProcessStates(
        [SampledProcess("target", "plain", lambda: parent.pid), SampledProcess("load", None, lambda: 1)]
    )
    states.refresh()
    _until(states, set())
    child.suspend()
    _until(states, {SilenceKey("target", "plain", child.pid, "stopped")})
    child.resume()
    _until(states, set())


def test_a_janitor_that_has_ended_is_missed(family: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    """Its parent has not asked how it ended: a zombie is no janitor."""
    parent, _ = family
    states = ProcessStates([SampledProcess(JANITOR, None, lambda: parent.pid)])
    states.refresh()
    _until(states, set())
    parent.kill()
    _until(states, {SilenceKey(JANITOR, None, parent.pid, "ended")})


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets limits of other processes")
def test_a_proxy_without_descriptors_is_seen(family: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    """One more would be too many: that is of who carries connections, not of a service."""
    parent, child = family
    states = ProcessStates([SampledProcess("toxiproxy", None, lambda: parent.pid)])
    states.refresh()
    _until(states, set())
    taken = {int(each.name) for each in Path(f"/proc/{child.pid}/fd").iterdir()}
    free = next(number for number in count() if number not in taken)
    child.rlimit(psutil.RLIMIT_NOFILE, (free, free))
    _until(states, {SilenceKey("toxiproxy", None, child.pid, "no_files")})
    service = ProcessStates([SampledProcess("target", "plain", lambda: parent.pid)])
    service.refresh()
    _until(service, set())


def test_nobody_has_ended_because_there_is_no_descriptor(
    family: tuple[subprocess.Popen[str], psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot look does not say what it would have seen: neither an end, nor that something goes on."""
    parent, _ = family
    states = ProcessStates([SampledProcess(JANITOR, None, lambda: parent.pid)])
    states.refresh()

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "no descriptor")

    monkeypatch.setattr("brokenpipe.drive.watch.process_states.os.open", refuse)
    with pytest.raises(OSError, match="no descriptor"):
        list(states.check())


@dataclass
class _Log:
    lines: list[Record] = field(default_factory=list)

    def write(self, record: Record) -> None:
        self.lines.append(record)


STOPPED = SilenceKey("load", None, 7, "stopped")


def test_a_silence_is_written_when_it_begins_and_when_it_ends() -> None:
    """Not at each look: and what does not end has no end."""
    log = _Log()
    watch = Watch(log)  # type: ignore[arg-type]
    for t, standing in ((1, set()), (2, {STOPPED}), (3, {STOPPED}), (4, set()), (5, {STOPPED})):
        watch.record_states(standing, t)
    assert log.lines == [
        SilenceEdge(2, "begin", "load", None, 7, "stopped"),
        SilenceEdge(4, "end", "load", None, 7, "stopped"),
        SilenceEdge(5, "begin", "load", None, 7, "stopped"),
    ]


def test_for_how_long_something_has_been_silent() -> None:
    """The longest counts; the janitor is waited for by nobody, and whoever asks for a part gets that."""
    watch = Watch(_Log())  # type: ignore[arg-type]
    now = time.monotonic_ns()
    assert watch.silent_for_s() == 0.0
    watch.record(SilenceKey(JANITOR, None, 3, "ended"), now - 90_000_000_000, silent=True)
    assert watch.silent_for_s() == 0.0
    watch.record(STOPPED, now - 60_000_000_000, silent=True)
    watch.record(SilenceKey("postgres", None, None, "no_answer"), now - 30_000_000_000, silent=True)
    assert watch.silent_for_s() >= 60
    assert 30 <= watch.silent_for_s({"postgres"}) < 60


def test_loops_that_stood_still_together_are_one_silence() -> None:
    """Of a harness that was stopped two loops tell."""
    log = _Log()
    watch = Watch(log)  # type: ignore[arg-type]
    watch.record_late(10, 20)
    watch.record_late(12, 20)
    watch.record_late(30, 40)
    assert [each.t for each in log.lines if isinstance(each, SilenceEdge)] == [10, 20, 30, 40]


def test_whoever_looks_goes_on_without_descriptors() -> None:
    """A look that fails for want of one is left out, and the next is made: nothing ends, and nothing is printed."""
    over, looks = threading.Event(), iter((errno.EMFILE, errno.ENFILE, None))

    def look() -> None:
        number = next(looks)
        if number is not None:
            raise OSError(number, "no descriptor")
        over.set()

    watch_module._repeat(look, 0.001, over)
    assert over.is_set()

    def broken() -> None:
        raise OSError(errno.EBADF, "a defect")

    with pytest.raises(OSError, match="a defect"):
        watch_module._repeat(broken, 0.001, threading.Event())
