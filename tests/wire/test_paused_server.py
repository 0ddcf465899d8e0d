"""A harness whose server stands still when it ends, in either way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.processes import alive

from brokenpipe.stack.postgres.server import postgres
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import poll

pytestmark = pytest.mark.timeout(120)

# A harness with a server that stands still.
PAUSED = """
import sys
from pathlib import Path
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.postgres.server import postgres

with janitor("test-of-pause-" + sys.argv[2]) as undo, postgres(log_path=Path(sys.argv[1]), janitor=undo) as server:
    server.pause()
    print(server.child.pid)
    print(Path(f"/proc/{server.child.pid}/cwd").resolve(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["clean", "killed"])
def test_a_server_that_stands_still_ends_all_the_same(tmp_path: Path, end: str) -> None:
    """Woken by a clean end, and by the janitor of a harness that was killed: neither waits for somebody to heal it."""
    script = tmp_path / "paused.py"
    script.write_text(PAUSED)
    argv = [sys.executable, str(script), str(tmp_path / "postgres.log"), end]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdin is not None
        assert harness.stdout is not None
        father = psutil.Process(int(harness.stdout.readline()))
        family = [father, *father.children(recursive=True)]
        data = Path(harness.stdout.readline().strip())
        assert father.status() == psutil.STATUS_STOPPED
        if end == "killed":
            harness.kill()
        harness.stdin.close()
        harness.wait(20)
        assert poll(lambda: None if data.exists() or any(map(alive, family)) else True, timeout_s=15)
    # Of a harness that was killed nobody writes the log on.
    assert end == "killed" or "received fast shutdown request" in (tmp_path / "postgres.log").read_text()


@pytest.mark.parametrize("postmaster", ["lives", "killed"])
def test_a_backend_that_stands_still_ends_with_its_server(tmp_path: Path, postmaster: str) -> None:
    """An orderly end is as thorough as the janitor: no backend, no folder and no shared memory is left."""
    with postgres(log_path=tmp_path / "postgres.log", janitor=NoJanitor()) as server:
        session = psycopg.connect(server.dsn())
        backend = psutil.Process(session.info.backend_pid)
        data = Path(backend.cwd())
        segment = int((data / "postmaster.pid").read_text().splitlines()[6].split()[1])
        backend.suspend()
        if postmaster == "killed":
            psutil.Process(server.child.pid).kill()
    session.close()
    assert not alive(backend)
    assert not data.exists()
    assert segment not in segments()


def segments() -> set[int]:
    """Of all System V shared memory on this machine."""
    table = Path("/proc/sysvipc/shm")
    return {int(row.split()[1]) for row in table.read_text().splitlines()[1:]} if table.exists() else set()
