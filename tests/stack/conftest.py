"""Runs of the whole program; a project with services that are not the sample."""

from __future__ import annotations

import shutil
import site
import venv
from pathlib import Path

import pytest
from tests.stack.runs import REPOSITORY, Starter


@pytest.fixture
def brokenpipe(tmp_path: Path) -> Starter:
    return Starter(tmp_path)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out like this repository, with two services in targets/ that know nothing of it.

    One of them has an interpreter of its own: a virtual environment, with the same packages in reach.
    """
    return make_project(tmp_path_factory.mktemp("project"))


def make_project(folder: Path) -> Path:
    """Lay it out in that folder."""
    shutil.copytree(
        Path(__file__).parent / "project",
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (folder / "proxies").symlink_to(REPOSITORY / "proxies")
    venv.create(folder / "elsewhere", symlinks=True)
    (packages,) = (folder / "elsewhere").glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder
