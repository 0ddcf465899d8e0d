"""From a fresh clone to the first verdict, with an empty home: `make setup`, then `make loadtest`."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parents[1]


def rows() -> Iterator[str]:
    """One line: seconds for the set-up, and for the first run after it."""
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as scratch:
        clone, home = Path(scratch) / "clone", Path(scratch) / "home"
        home.mkdir()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GO", "XDG_", "UV_"))
        }
        environment = kept | {"HOME": str(home), "GOFLAGS": "-modcacherw"}
        began = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", HERE, clone], check=True)
        _make(clone, environment, "setup")
        set_up = time.monotonic()
        _make(clone, environment, "loadtest")
        over = time.monotonic()
    yield f"set-up {set_up - began:.0f} s, first run {over - set_up:.0f} s, together {over - began:.0f} s"


def _make(clone: Path, environment: dict[str, str], target: str) -> None:
    done = subprocess.run(
        ["make", target],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode and "report.html" not in done.stdout:
        raise RuntimeError(f"make {target}: {done.stdout[-600:]}")
