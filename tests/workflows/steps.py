"""The steps of a workflow, as its file has them, carried out by the shell that GitHub's runner would use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
WORKFLOWS = REPOSITORY / ".github" / "workflows"
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # what `shell: bash` stands for
STEP_TIMEOUT_S = 150


@dataclass(frozen=True)
class Done:
    """What came of a step."""

    code: int
    said: str


def workflow(name: str) -> dict[str, Any]:
    """The file as data. YAML 1.1 takes the key `on` for a truth value."""
    found: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return {{True: "on"}.get(key, key): value for key, value in found.items()}


def steps(name: str) -> Iterator[dict[str, Any]]:
    """Every step of every job."""
    for job in workflow(name)["jobs"].values():
        yield from job["steps"]


def script(name: str, step: str) -> str:
    """What a step of that name runs."""
    (found,) = (each["run"] for each in steps(name) if each.get("name") == step)
    return str(found)


def carry_out(text: str, folder: Path, env: Mapping[str, str]) -> Done:
    """Run a step's script in a folder, to its end."""
    done = subprocess.run(
        [*SHELL, "-c", text],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout)
