"""Finds the interpreter of the service, and which modules it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from brokenpipe.init.found import Found
from brokenpipe.init.repository import Repository
from brokenpipe.stack.processes.process import clean_environment

TIMEOUT_S = 60.0
_FOLDERS = (".venv", "venv", "env", ".env")
_SCRIPT = (
    "import importlib.util, json, platform, sys\n"
    "names = json.loads(sys.argv[1])\n"
    "found = [name for name in names if importlib.util.find_spec(name)]\n"
    "print(json.dumps([platform.python_version(), found]))\n"
)


def find_interpreter(repository: Repository) -> Found[Path | None]:
    """The interpreter of the repository's environment; None: ours, as a guess."""
    for name in _FOLDERS:
        if (python := repository.root / name / "bin" / "python").exists():
            return Found(python, f"{name}/", _tool(repository))
    if poetry := _poetry_environment(repository):
        return Found(poetry, "poetry.lock", "poetry env info")
    active = os.environ.get("VIRTUAL_ENV")
    if active and (python := Path(active) / "bin" / "python").exists():
        return Found(python, "VIRTUAL_ENV", "the environment that is active", guess=True)
    hint = "`uv sync` would make one" if (repository.root / "uv.lock").exists() else "none in .venv"
    return Found(None, hint, "that of brokenpipe is taken", guess=True)


def _tool(repository: Repository) -> str:
    for file, tool in (
        ("uv.lock", "uv"),
        ("poetry.lock", "poetry"),
        ("pdm.lock", "pdm"),
        ("Pipfile", "pipenv"),
    ):
        if (repository.root / file).exists():
            return f"{tool}, by {file}"
    return ""


def _poetry_environment(repository: Repository) -> Path | None:
    """The environment that poetry keeps elsewhere."""
    if not (repository.root / "poetry.lock").exists():
        return None
    try:
        answer = subprocess.run(
            ["poetry", "env", "info", "--path"],
            cwd=repository.root, capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    python = Path(answer.stdout.strip()) / "bin" / "python"
    return python if python.exists() else None


def installed_modules(python: Path | None, names: Sequence[str]) -> tuple[str, frozenset[str]]:
    """Version of an interpreter, and which of these modules it has; nothing of one that does not answer."""
    try:
        answer = subprocess.run(
            [str(python or sys.executable), "-c", _SCRIPT, json.dumps(list(names))],
            env=clean_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
        version, found = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return "", frozenset()
    return version, frozenset(found)
