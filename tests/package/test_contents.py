"""What is in the wheel and in the source distribution."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.package.conftest import REPOSITORY

INSIDE = {"proxies": "proxies", "scenarios": "scenarios", "targets": "targets"}
"""Folders of the repository that travel inside the package, whole but for the tests of the Go module."""


def tracked(folder: str) -> set[str]:
    """The files of a folder that belong to the repository, and are there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file()}


def test_a_wheel_holds_the_package_and_what_a_run_reads(wheel: Path) -> None:
    """Every file of these folders and nothing else: no build, no cache, no report."""
    expected = {name.removeprefix("src/") for name in tracked("src/brokenpipe")}
    expected |= {
        f"brokenpipe/data/{name}"
        for folder in INSIDE
        for name in tracked(folder)
        if not name.endswith("_test.go")
    }
    expected.add("brokenpipe/data/compose/services.yaml")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_a_source_distribution_makes_the_same_wheel(wheel: Path, distributions: Path, tmp_path: Path) -> None:
    """It is whole: whoever has it needs no repository. Licence, readme and changelog are in it."""
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "constraints.txt", "docs"} <= {
        path.name for path in folder.iterdir()
    }
    assert not {"tests", "reports", "findings", ".venv"} & {path.name for path in folder.iterdir()}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")]
    subprocess.run(build, cwd=folder, check=True)
    (again,) = (tmp_path / "again").glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
