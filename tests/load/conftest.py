"""A locustfile, a real Locust process that runs it, and a real server that answers it."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from brokenpipe.drive.locust.process import LocustProcess, locust_process
from brokenpipe.load.config import LoadConfig
from brokenpipe.stack.processes.janitor import NoJanitor

from .server import Server, serving


@dataclass
class Bench:
    """A folder with a locustfile, and the server whose two arms it drives."""

    folder: Path
    server: Server
    config: LoadConfig

    @contextmanager
    def load(self, locustfile: str, **changes: Any) -> Iterator[LocustProcess]:
        """A load with this locustfile; `changes` are fields of its LoadConfig."""
        self.configure(locustfile, **changes)
        with locust_process(self.config, self.folder / "load.log", NoJanitor()) as load:
            yield load

    def configure(self, locustfile: str, **changes: Any) -> None:
        self.config.locustfile.write_text(textwrap.dedent(locustfile))
        self.config = replace(self.config, **changes)

    def run(
        self, locustfile: str, *, until: Callable[[], bool], timeout_s: float = 10.0, **changes: Any
    ) -> None:
        """Open the gate, wait until something is so, and stop."""
        with self.load(locustfile, **changes) as load:
            load.wait_ready()
            load.open()

            def seen() -> bool:
                load.check()
                return until()

            eventually(seen, "the server saw too few requests", timeout_s)
            load.drain(5.0)
            load.stop()

    def records(self, kind: str) -> list[dict[str, Any]]:
        lines = self.config.requests_path.read_text().split("\n")[:-1]
        return [record for record in map(json.loads, lines) if record["k"] == kind]

    def ends_of(self, worker: str, kind: str = "end") -> list[dict[str, Any]]:
        """What the log of one worker has of that kind."""
        path = self.config.requests_path.with_name(f"requests-{worker}.ndjson")
        return [record for record in map(json.loads, path.read_text().splitlines()) if record["k"] == kind]

    def every_end(self) -> list[dict[str, Any]]:
        """The end of each request, with what a line leaves out because it is not the case."""
        absent = {"failure": None, "error": None, "key": None}
        return [absent | end | {"t": end["t0"] + end["ms"] * 1e6} for end in self.records("end")]

    def ends(self, name: str, arm: str = "plain") -> list[dict[str, Any]]:
        """The ends of all requests of that name."""
        return [end for end in self.every_end() if (end["name"], end["arm"]) == (name, arm)]

    def starts(self) -> list[dict[str, Any]]:
        """The start of each request, told by a line of its own or by its end, in order."""
        told = [end | {"t": end["t0"]} for end in self.every_end()]
        ended = {(end["arm"], end["id"]) for end in told}
        told += [start for start in self.records("start") if (start["arm"], start["id"]) not in ended]
        return sorted(told, key=lambda start: start["t"])

    def saw(self, count: int) -> Callable[[], bool]:
        return lambda: all(len(self.server.of(arm)) >= count for arm in self.server.arms)

    def summary(self) -> str:
        """What Locust printed."""
        return (self.folder / "load.log").read_text()


def eventually(so: Callable[[], object], otherwise: str, timeout_s: float = 10.0) -> None:
    """Wait until it is so. Fails with `otherwise` when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not so():
        if time.monotonic() > deadline:
            pytest.fail(f"after {timeout_s:g} s: {otherwise}")
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with serving("plain", "pre_ping") as server:
        config = LoadConfig(
            locustfile=tmp_path / "locustfile.py",
            arms=server.arms,
            users=1,
            seed=1,
            requests_path=tmp_path / "requests.ndjson",
            time_limit_s=3.0,
        )
        yield Bench(tmp_path, server, config)
