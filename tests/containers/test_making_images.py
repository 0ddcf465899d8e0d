"""What makes the images: on this machine only, nothing twice, nothing in the place of what is there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.containers.containers import IMAGES, REPOSITORY, docker

SCRIPT = REPOSITORY / "compose" / "images.sh"
DOCKERFILES = sorted((REPOSITORY / "compose" / "images").glob("*/Dockerfile"))
BASES = ("debian:trixie-slim", "python:3.11-slim-bookworm", "postgres:17-bookworm")
STACK_DID_NOT_START = 4


def said(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of the script in that environment, and what it printed."""
    done = subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=170,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.usefixtures("engine")
def test_what_is_there_is_not_made_again() -> None:
    """A second time no base is asked for, and every image is the one that it was."""
    before = [docker("image", "inspect", "--format={{.Id}}", name) for name in (*BASES, *IMAGES)]
    code, printed = said()
    assert code == 0, printed
    assert "asking the registry" not in printed
    assert [docker("image", "inspect", "--format={{.Id}}", name) for name in (*BASES, *IMAGES)] == before


@pytest.mark.usefixtures("engine")
def test_an_engine_elsewhere_is_refused() -> None:
    """It is told apart by its address, before anybody speaks to it."""
    code, printed = said(DOCKER_HOST="tcp://192.0.2.1:2375")
    assert code == STACK_DID_NOT_START
    assert "tcp://192.0.2.1:2375 is not this machine" in printed


@pytest.mark.usefixtures("engine")
def test_no_engine_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    """Which address does not answer, and what starts one."""
    code, printed = said(DOCKER_HOST=f"unix://{tmp_path}/nobody")
    assert code == STACK_DID_NOT_START
    assert f"No Docker engine answers at unix://{tmp_path}/nobody" in printed
    assert "systemctl start docker" in printed


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_a_dockerfile_names_a_version_and_ends_as_nobody(path: Path) -> None:
    """Nothing is built on whatever is the latest, and nothing of ours runs as root."""
    text = path.read_text()
    for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert base == "scratch" or re.search(r":(?!latest)[\w.-]+$", base), base
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1:] == ["65532:65532"]
