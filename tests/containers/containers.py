"""Containers of a test: confined as those of the stack, and gone after it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from brokenpipe.stack.containers.cleanup import OWNER_LABEL
from brokenpipe.stack.containers.compose_file import (
    AGENT_IMAGE,
    PGBOUNCER_IMAGE,
    POSTGRES_IMAGE,
    TOXIPROXY_IMAGE,
)
from brokenpipe.stack.processes.ports import poll

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
CONFINED = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only", "--tmpfs=/tmp:mode=1777")
PATIENCE_S = 60.0  # a container starts within a second; a busy machine may take long
IMAGES = (POSTGRES_IMAGE, TOXIPROXY_IMAGE, AGENT_IMAGE, PGBOUNCER_IMAGE)


def docker(*arguments: str, fails: bool = False) -> str:
    """What that command prints; with `fails` it has to fail."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )
    assert (done.returncode != 0) == fails, f"docker {' '.join(arguments)}: {done.stdout}"
    return done.stdout.strip()


def unused_volumes() -> frozenset[str]:
    """Those of the engine that no container has. One without a name of its own carries no label."""
    return frozenset(docker("volume", "ls", "--quiet", "--filter=dangling=true").split())


def containers_of(harness: int) -> list[str]:
    """What this process, a harness, has on the engine, by name."""
    return _owned("ps", "--all", harness, "{{.Names}}")


def left_by(harness: int, unused_before: frozenset[str] | None = None) -> list[str]:
    """Containers and networks that this process has on the engine, and volumes that nobody uses any more."""
    found = [f"container {name}" for name in containers_of(harness)]
    found += [f"network {name}" for name in _owned("network", "ls", harness, "{{.Name}}")]
    if unused_before is not None:
        found += [f"volume {name}" for name in sorted(unused_volumes() - unused_before)]
    return found


def _owned(what: str, how: str, harness: int, name: str) -> list[str]:
    lines = docker(
        what, how, f"--filter=label={OWNER_LABEL}", f'--format={{{{.Label "{OWNER_LABEL}"}}}} {name}'
    )
    owned = (line.split() for line in lines.splitlines())
    return [words[-1] for words in owned if words[0] == str(harness)]


def no_engine() -> str:
    """Why containers cannot be started here; empty if they can."""
    try:
        done = subprocess.run(
            ["docker", "version"], capture_output=True, text=True, timeout=30, check=False, env=os.environ
        )
    except OSError as error:
        return f"no docker command: {error}"
    if done.returncode:
        return f"no Docker engine answers: {done.stderr.strip()}"
    absent = [
        name
        for name in IMAGES
        if subprocess.run(
            ["docker", "image", "inspect", name], capture_output=True, timeout=30, check=False
        ).returncode
    ]
    return f"no image {', '.join(absent)}: run `make images`" if absent else ""


def configuration(image: str) -> dict[str, Any]:
    """What an image says about itself."""
    config: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]["Config"]
    return config


def eventually(attempt: Callable[[], T | None], what: str) -> T:
    """What `attempt` returns once that is something."""
    result = poll(attempt, timeout_s=PATIENCE_S)
    assert result is not None, f"waited {PATIENCE_S:g} s for {what}"
    return result


@dataclass(frozen=True)
class Container:
    """One that runs in the background."""

    name: str

    def published(self, port: int) -> int:
        """Where on the loopback that port of it is reached."""
        return int(docker("port", self.name, f"{port}/tcp").splitlines()[0].rsplit(":", 1)[1])

    def run(self, *command: str, fails: bool = False) -> str:
        """What a command in it prints."""
        return docker("exec", self.name, *command, fails=fails)

    @property
    def log(self) -> str:
        return docker("logs", self.name)


@contextmanager
def container(image: str, *command: str, options: tuple[str, ...] = ()) -> Iterator[Container]:
    """Run it for as long as the block lasts, with what its volumes hold."""
    name = docker("run", "--detach", "--label=brokenpipe.test", *CONFINED, *options, image, *command)
    try:
        yield Container(name.splitlines()[-1])
    finally:
        docker("rm", "--force", "--volumes", name.splitlines()[-1])


def once(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """What a command prints that is run in a container of its own."""
    return docker("run", "--rm", "--label=brokenpipe.test", *CONFINED, *options, image, *command)


@contextmanager
def network() -> Iterator[str]:
    """One of the test's own, in which containers find each other by name."""
    name = f"brokenpipe-test-{os.getpid()}"
    docker("network", "create", "--label=brokenpipe.test", name)
    try:
        yield name
    finally:
        docker("network", "rm", name)
