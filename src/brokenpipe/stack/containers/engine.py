"""The Docker engine that a stack in containers runs on: on this machine, unless another one is named."""

from __future__ import annotations

import io
import ipaddress
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from brokenpipe.errors import EngineError, UsageError

T = TypeVar("T")

POSTGRES_UID = 999  # of the user postgres in the official image
CALL_TIMEOUT_S = 30
CREATE_TIMEOUT_S = 120
_HOW_TO_START = (
    "Install Docker (https://docs.docker.com/engine/install/; on Debian: apt install docker.io) and start it, "
    "or leave --stack compose out: the local stack needs none."
)
_HOW_TO_GET_COMPOSE = "Install the plug-in: https://docs.docker.com/compose/install/linux/"
_LOCAL = "unix://"
_COMPOSE = (("docker", "compose"), ("docker-compose",))  # the plug-in, and its predecessor 1.29


@dataclass(frozen=True)
class Engine:
    """An engine that answers. `endpoint` is where, in Docker's words; `compose` is the program for its files.

    Every method raises EngineError.
    """

    endpoint: str
    compose: tuple[str, ...] = ()
    compose_version: str = ""

    @cached_property
    def client(self) -> Any:
        return docker.DockerClient(base_url=self.endpoint, timeout=CALL_TIMEOUT_S)

    @property
    def version(self) -> str:
        """The version of Docker."""
        return str(_call(lambda: self.client.api.version()["Version"]))

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the program `docker` with which it uses this engine and no other."""
        names = ("PATH", "HOME", "DOCKER_CONFIG", "TMPDIR")
        return {name: os.environ[name] for name in names if name in os.environ} | {
            "DOCKER_HOST": self.endpoint
        }

    def root_pid(self, container: str) -> int | None:
        """The pid, as this machine counts, of a container's first process; None if it does not run."""
        state = _call(lambda: self.client.api.inspect_container(container)["State"])
        return state["Pid"] or None

    def subnets(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The subnet of every network of this engine."""
        configured = [
            each
            for network in _call(self.client.api.networks)
            for each in (network.get("IPAM") or {}).get("Config") or ()
        ]
        return [ipaddress.ip_network(each["Subnet"]) for each in configured if "." in each.get("Subnet", "")]

    def ran_out_of_memory(self, container: str) -> bool:
        """Did the kernel end something in it because it had used up its memory?"""
        state = _call(lambda: self.client.api.inspect_container(container)["State"])
        return bool(state["OOMKilled"])

    def memory_limit(self, container: str) -> int | None:
        """Memory limit of a container in bytes; None without one, or if the container is gone. Raises nothing."""
        with suppress(APIError, EngineError):
            host = _call(lambda: self.client.api.inspect_container(container)["HostConfig"])
            return host["Memory"] or None
        return None

    def start(self, container: str) -> None:
        """Start a container without attaching to its output."""
        self._control(self.client.api.start, container)

    def signal(self, container: str, number: int) -> None:
        """Send a signal to its first process; one that has ended gets none."""
        with suppress(APIError):  # 409: it does not run
            _call(lambda: self.client.api.kill(container, signal=number))

    def pause(self, container: str) -> None:
        """Pause all processes of a container."""
        self._control(self.client.api.pause, container)

    def unpause(self, container: str) -> None:
        """Resume all processes of a container, if it is paused."""
        state = _call(lambda: self.client.api.inspect_container(container)["State"])
        if state["Paused"]:
            self._control(self.client.api.unpause, container)

    def _control(self, do: Callable[[str], object], container: str) -> None:
        try:
            _call(lambda: do(container))
        except APIError as error:
            raise _call_error(error) from error

    def remove(self, container: str) -> None:
        """Remove a container with its volumes, whatever its state."""
        with suppress(APIError):  # it is being removed already
            self.client.api.remove_container(container, v=True, force=True)

    def copy_to_volume(self, container: str, folder: PurePath, files: Mapping[str, bytes]) -> None:
        """Files that only POSTGRES_UID can read, in a folder made for them in a volume of the container."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, content in {"": None, **files}.items():
                entry = tarfile.TarInfo(f"{folder.name}/{name}".rstrip("/"))
                entry.type, entry.mode = (tarfile.REGTYPE, 0o600) if name else (tarfile.DIRTYPE, 0o700)
                entry.uid = entry.gid = POSTGRES_UID
                entry.size = len(content or b"")
                tar.addfile(entry, io.BytesIO(content or b""))
        try:
            _call(lambda: self.client.api.put_archive(container, str(folder.parent), packed.getvalue()))
        except APIError as error:
            raise _call_error(error) from error

    def require_images(self, images: Sequence[str], on_step: Callable[[str], None]) -> None:
        """Pull those of these images that are not here. Raises EngineError."""
        for image in images:
            try:
                _call(lambda image=image: self.client.images.get(image))  # type: ignore[misc]
            except _MissingImage:
                on_step(f"fetching {image}")
                self._fetch(image)

    def _fetch(self, image: str) -> None:
        if image.startswith("brokenpipe/"):
            raise EngineError(
                f"there is no image {image} on the engine at {self.endpoint}",
                remedy="Run `make images`.",
            )
        try:
            self.client.images.pull(image)
        except (DockerException, OSError) as error:
            raise EngineError(
                f"there is no image {image} on the engine at {self.endpoint}, and its registry does not give it: "
                f"{_shorten(error)}",
                remedy="Run `make images`: where no registry can be reached, it makes one in its place.",
            ) from error

    def create_containers(
        self, project: str, file: Path, services: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        """Make containers, and the network they are in, without starting them. Raises EngineError.

        `variables` are what the file names without giving a value.
        """
        argv = [*self.compose, "--project-name", project, "--file", str(file), "up", "--no-start", *services]
        try:
            done = subprocess.run(
                argv,
                env=self.environment | dict(variables),
                capture_output=True,
                text=True,
                timeout=CREATE_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"{' '.join(self.compose)}: no end after {CREATE_TIMEOUT_S:g} s",
                remedy="See what the engine is busy with: `docker ps`, its log.",
            ) from error
        if done.returncode:
            raise EngineError(
                f"{' '.join(self.compose)} ended with {done.returncode}: containers could not be made",
                remedy="See its last lines below.",
                details=tuple(done.stderr.splitlines()[-12:]),
            )


class _MissingImage(Exception):
    """There is no such image."""


def find_engine(named: str | None = None) -> Engine:
    """The engine that `docker` uses, or the one that was `named`: only that one may be on another machine.

    Raises UsageError for one that is elsewhere, EngineError if there is none that answers, or no compose plug-in.
    """
    if not shutil.which("docker"):
        raise EngineError("there is no program `docker` on PATH", remedy=_HOW_TO_START)
    endpoint = named or _active_endpoint()
    if not named and "://" not in endpoint:
        raise UsageError(
            f"DOCKER_HOST={endpoint}: is no address of a Docker engine",
            remedy="Unset it, or write for example DOCKER_HOST=unix:///var/run/docker.sock.",
        )
    if not named and not endpoint.startswith(_LOCAL):
        raise UsageError(
            f"--stack compose: Docker's active engine is {endpoint}, which may not be on this machine",
            remedy="Unset DOCKER_HOST, or `docker context use default`; "
            f"if you mean that engine, say --engine {endpoint}.",
        )
    engine = Engine(endpoint)
    try:
        engine.client.ping()
    except (DockerException, OSError) as error:
        with suppress(DockerException, OSError):
            engine.client.close()
        raise EngineError(
            f"no Docker engine answers at {endpoint}: {_shorten(error)}", remedy=_HOW_TO_START
        ) from error
    for compose in _COMPOSE:
        if version := _output_of([*compose, "version", "--short"], engine.environment):
            return replace(engine, compose=compose, compose_version=version)
    raise EngineError(
        "there is neither `docker compose` nor `docker-compose`: the plug-in is missing",
        remedy=_HOW_TO_GET_COMPOSE,
    )


def _active_endpoint() -> str:
    """The endpoint of DOCKER_HOST, or of the active context.

    Raises EngineError for a context that Docker does not know: a choice of the user is not replaced in silence.
    """
    if chosen := os.environ.get("DOCKER_HOST"):
        return chosen
    form = "{{.Endpoints.docker.Host}}"
    active = _output_of(["docker", "context", "inspect", "--format", form], dict(os.environ))
    if not active and (context := os.environ.get("DOCKER_CONTEXT")):
        raise EngineError(
            f"DOCKER_CONTEXT={context}: `docker context inspect` knows no such context",
            remedy="Unset it, or name one that `docker context ls` lists.",
        )
    return active or _LOCAL + "/var/run/docker.sock"


def _output_of(argv: Sequence[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _call(call: Callable[[], T]) -> T:
    try:
        return call()
    except ImageNotFound as error:
        raise _MissingImage from error
    except APIError:
        raise
    except (DockerException, OSError) as error:
        raise _call_error(error) from error


def _call_error(error: Exception) -> EngineError:
    return EngineError(
        f"the Docker engine refused a call: {_shorten(error)}", remedy="See its log: has it ended?"
    )


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
