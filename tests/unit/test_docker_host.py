"""The Docker engine that the environment names: an unusable one is said, and no other is taken in its place."""

from __future__ import annotations

from pathlib import Path

import docker as docker_package
import pytest
from docker.errors import DockerException

from brokenpipe.errors import EngineError, UsageError
from brokenpipe.stack.containers.engine import find_engine


class Nobody:
    """A client of an engine that does not answer: the real one leaves its socket open then."""

    def __init__(self, base_url: str, **_: object) -> None:
        self.base_url = base_url

    def ping(self) -> None:
        raise DockerException(f"nobody at {self.base_url}")

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program `docker` that knows no context, as when DOCKER_HOST or DOCKER_CONTEXT is none."""
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(docker_package, "DockerClient", Nobody)
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        ("garbage", UsageError, "DOCKER_HOST=garbage: is no address"),
        ("/var/run/docker.sock", UsageError, "DOCKER_HOST=/var/run/docker.sock: is no address"),
        ("tcp://192.0.2.1:2375", UsageError, "active engine is tcp://192.0.2.1:2375"),
        ("unix:///nonexistent/docker.sock", EngineError, "no Docker engine answers at unix:///nonexistent"),
        ("unix://", EngineError, "no Docker engine answers at unix://"),
    ],
)
def test_an_unusable_docker_host(
    value: str, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with what is wrong; the engine at the usual place is not asked instead."""
    monkeypatch.setenv("DOCKER_HOST", value)
    with pytest.raises(error, match=says) as caught:
        find_engine()
    assert caught.value.remedy  # type: ignore[attr-defined]


def test_a_context_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(EngineError, match="DOCKER_CONTEXT=nowhere"):
        find_engine()
