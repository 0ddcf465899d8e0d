"""The configuration of the load, from the harness. Both ends import it, so it imports nothing of Locust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "BROKENPIPE_LOAD"  # the environment variable of the Locust process that carries it
LOCUSTFILE = Path(__file__).with_name("locustfile.py")  # what `locust -f` is given


@dataclass(frozen=True, slots=True)
class Web:
    """Locust's web UI: the port of 127.0.0.1 it listens on, and a file with the page that we add to it."""

    port: int
    page: str


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on that others may reach."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """The configuration of a Locust process.

    `arms` maps each arm to its base URL, such as `http://127.0.0.1:8001`. `users` counts users of one arm.
    A request that waits longer than `time_limit_s` for the next byte of its answer has failed. With `arrivals_per_s`
    the load is open: so many requests a second arrive at each arm, and users are there to carry them. With `web`
    runs are started in Locust's web UI. With `workers` the users are in so many other processes, and this one is their
    master.
    """

    locustfile: Path
    arms: Mapping[str, str]
    users: int
    seed: int
    requests_path: Path
    time_limit_s: float
    control_fd: int = -1
    arrivals_per_s: float | None = None
    web: Web | None = None
    part: int = 1  # of an experiment; in each, users are other people with other draws
    workers: int = 0

    @property
    def total_users(self) -> int:
        return self.users * len(self.arms)

    def to_json(self) -> str:
        paths = {"locustfile": str(self.locustfile), "requests_path": str(self.requests_path)}
        return json.dumps(asdict(self) | paths)

    @classmethod
    def from_json(cls, text: str) -> LoadConfig:
        found = json.loads(text)
        paths = {key: Path(found[key]) for key in ("locustfile", "requests_path")}
        web = found["web"] and Web(**found["web"])
        return cls(**(found | paths | {"web": web}))
