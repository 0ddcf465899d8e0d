"""`brokenpipe` started as a user starts it, with a TMPDIR and a reports folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.stack.leftovers import Leftovers

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
BROKENPIPE = (sys.executable, "-m", "brokenpipe")
END_TIMEOUT_S = 150.0
LOOK_S = 0.05

STEADY = """
[[phases]]
name = "steady"
seconds = 2
"""
BURSTS = """
[[phases]]
name = "idle"
fault = { name = "idle_reset", after_ms = 300 }
episodes = 3
quiet_s = 0.5
burst_s = 0.5
"""
LONG = """
[[phases]]
name = "long"
seconds = 600
"""


def eventually(attempt: Callable[[], T | None], message: str, *, timeout_s: float = 30.0) -> T:
    """What `attempt` returns once that is something: not None, not False, not empty."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = attempt()
        if result:
            return result
        assert time.monotonic() < deadline, f"after {timeout_s:g} s: {message}"
        time.sleep(LOOK_S)


def write_scenario(
    path: Path,
    phases: str,
    *,
    target: str,
    locustfile: Path | str = "locustfile.py",
    users: int = 2,
    arms: str = "plain = {}",
    env: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
) -> Path:
    """A scenario file; the control is the first arm."""
    path.write_text(
        f"""
title = "{path.stem}"
question = "What does the harness do?"
target = "{target}"
control = "{arms.split(maxsplit=1)[0]}"

[load]
locustfile = "{locustfile}"
users = {users}
timeout_s = {timeout_s}

[env]
{"".join(f'{name} = "{value}"{chr(10)}' for name, value in (env or {}).items())}
[arms]
{arms}
{phases}
"""
    )
    return path


@dataclass
class Run:
    """A `brokenpipe` process. `out` is what it has printed so far, both streams together."""

    popen: subprocess.Popen[bytes]
    leftovers: Leftovers
    reports: Path
    output: Path

    @property
    def out(self) -> str:
        return self.output.read_text(errors="replace")

    @property
    def last_line(self) -> str:
        return self.out.rstrip().splitlines()[-1]

    @property
    def folder(self) -> Path:
        """Of its report; there must be exactly one."""
        (folder,) = (path for path in self.reports.glob("*/*") if path.is_dir() and not path.is_symlink())
        return folder

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found

    def history(self, file: str, kind: str) -> list[dict[str, Any]]:
        """The records of one kind in a file of the history."""
        lines = (self.folder / file).read_text().splitlines()
        return [record for line in lines if (record := json.loads(line))["k"] == kind]

    def wait_for(self, pattern: str, *, timeout_s: float = 60.0) -> None:
        """Wait until it has printed something."""

        def printed() -> bool:
            found = re.search(pattern, self.out) is not None
            assert found or self.popen.poll() is None, f"ended before it said {pattern!r}:\n{self.out}"
            return found

        eventually(printed, f"it did not say {pattern!r}", timeout_s=timeout_s)

    def send(self, signal_number: int) -> None:
        self.leftovers.note(self.popen.pid)
        self.popen.send_signal(signal_number)

    def end(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Its exit code, once it has ended."""
        return self.popen.wait(timeout_s)


@dataclass(frozen=True)
class Starter:
    """Starts `brokenpipe` in a folder of the test's own."""

    folder: Path

    @contextmanager
    def start(
        self,
        *arguments: str | Path,
        cwd: Path = REPOSITORY,
        env: Mapping[str, str] | None = None,
        reports: Path | None = None,
        judge: bool = True,
        html: bool = False,
    ) -> Iterator[Run]:
        """The program for as long as the block lasts. What it leaves behind fails the test that asks to `judge`.

        Its report has no page, which takes a third of what a short run takes of a processor, unless asked: `html`.
        """
        tmp = self.folder / "tmp"
        tmp.mkdir(exist_ok=True)
        reports = reports or self.folder / "reports"
        output = self.folder / "output"
        environment = {**os.environ, "TMPDIR": str(tmp), "PYTHONPATH": "", "COLUMNS": "300"}
        environment |= {"BROKENPIPE_HTML": "yes" if html else "no", **(env or {})}
        leftovers = Leftovers(tmp)
        with output.open("wb") as out:
            popen = subprocess.Popen(
                [*BROKENPIPE, *map(str, arguments)],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        run = Run(popen, leftovers, reports, output)
        try:
            yield run
        finally:
            if popen.poll() is None:
                run.send(signal.SIGKILL)
                popen.wait()
        _, left = leftovers.gone_after() if judge else (0.0, [])
        assert not left, f"left behind: {left}\n{run.out}"

    def run(self, scenario: Path, *options: str | Path, **how: Any) -> Run:
        """One whole run, to its end."""
        reports = how.get("reports") or self.folder / "reports"
        with self.start("run", scenario, "--reports", reports, *options, **how) as run:
            run.end()
        return run
