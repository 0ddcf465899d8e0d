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


def make_environment(folder: Path) -> Path:
    """A virtual environment that reaches the packages of ours."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all repositories, each of which has it as .venv."""
    return make_environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def layout(tmp_path: Path, environment: Path) -> Layout:
    """Copies the repository of that name."""

    def copy(name: str) -> Path:
        root = tmp_path / name
        shutil.copytree(REPOSITORIES / name, root, ignore=shutil.ignore_patterns("__pycache__"))
        (root / ".venv").symlink_to(environment)
        return root

    return copy
