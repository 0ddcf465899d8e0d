"""Repositories of services that know nothing of brokenpipe, copied so that `init` can write into them."""

from __future__ import annotations

import shutil
import site
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORIES = Path(__file__).parent / "repositories"

Layout = Callable[[str], Path]


def lay_out(name: str, folder: Path) -> Path:
    """A copy of a repository, with an environment of its own in .venv that reaches the packages of ours."""
    root = folder / name
    shutil.copytree(REPOSITORIES / name, root, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(root / ".venv", symlinks=True)
    (packages,) = (root / ".venv").glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return root


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Copies the repository of that name."""
    return lambda name: lay_out(name, tmp_path)
