"""What a janitor keeps in memory: what may have to be undone, and not every process that ever ran."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokenpipe.stack.processes.janitor import _CleanupTasks
from brokenpipe.stack.processes.watched_janitor import janitor

RESTARTS = 3


@contextmanager
def _running() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until the block ends."""
    argv = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        yield process


def test_processes_that_have_ended_are_forgotten(tmp_path: Path) -> None:
    """On both sides: a server that is restarted for days is one process to end. Folders stay."""
    tasks = _CleanupTasks()
    with janitor("test-of-memory") as watched:
        watched.register_folder(tmp_path / "scratch")
        for _ in range(RESTARTS):
            with _running() as process:
                watched.register_process(process.pid)
                lines = [json.loads(line) for line in watched._lines]  # type: ignore[attr-defined]
                tasks.read([json.dumps(lines[-1])])
                assert [line["pid"] for line in lines if "pid" in line] == [process.pid]
                assert [each.pid for each in tasks.processes] == [process.pid]
        assert [line["folder"] for line in lines if "folder" in line] == [str(tmp_path / "scratch")]
