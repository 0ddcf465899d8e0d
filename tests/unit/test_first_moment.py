"""The first moment of the program: whatever happens while it is imported, there is a sentence and an exit code."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from brokenpipe.shortages import is_memory_shortage

SLOW_IMPORT = """
import sys
import brokenpipe.__main__ as start

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("importing", flush=True)
            import time
            time.sleep(60)

sys.meta_path.insert(0, Finder())
sys.argv[1:] = {arguments!r}
start.main()
"""


def _started(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """The program, held up where it imports that module."""
    program = SLOW_IMPORT.format(name=name, arguments=list(arguments))
    popen = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert popen.stdout is not None
    assert popen.stdout.readline() == b"importing\n"
    return popen


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, b"interrupted\n"), (signal.SIGTERM, 3, b"terminated\n")]
)
@pytest.mark.parametrize("name", ["typer", "brokenpipe.drive.runner"])
def test_a_signal_in_mid_import(name: str, number: int, code: int, word: bytes, tmp_path: Path) -> None:
    """Of the commands, or of what one of them needs: a word, its exit code, no traceback, and nothing is left."""
    popen = _started(name, "run", "quick", "--reports", str(tmp_path / "reports"))
    popen.send_signal(number)
    _, said = popen.communicate(timeout=50)
    assert (popen.returncode, said) == (code, word)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("megabytes", [50, 300, 1500])
def test_too_low_a_limit_of_memory(megabytes: int) -> None:
    """Whether it is too low to import the program, or for what it measures with: a sentence and exit code 4.

    Not 40: there an extension is loaded that ends the process itself when it is refused memory.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    done = subprocess.run(
        [sys.executable, "-m", "brokenpipe", "report", "reports/sample"],
        preexec_fn=limit, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("error: out of memory: "), done.stderr
    assert "ulimit" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (ImportError("libx.so: failed to map segment from shared object"), True),
        (RuntimeError("can't start new thread"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (ValueError("out of memory"), False),
        (KeyError("x"), False),
    ],
)
def test_how_a_lack_of_memory_looks(error: Exception, short: bool) -> None:
    """By itself, or as the cause of something else."""
    outer = RuntimeError("a run")
    outer.__cause__ = error
    assert is_memory_shortage(error) is is_memory_shortage(outer) is short
