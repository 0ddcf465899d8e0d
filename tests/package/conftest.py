"""The wheel of this tree, and an environment that has nothing but it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installation:
    """An environment of its own, a home and a folder that were empty."""

    python: Path
    home: Path
    folder: Path

    def run(self, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """`brokenpipe` in the folder, as a user types it. Go's own caches are not ours to measure, and are shared."""
        go = subprocess.run(
            ["go", "env", "GOCACHE", "GOMODCACHE"], capture_output=True, text=True, check=False
        )
        caches = dict(zip(("GOCACHE", "GOMODCACHE"), go.stdout.split(), strict=False))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "COLUMNS": "200",
            **caches,
        }
        return subprocess.run(
            [self.python.parent / "brokenpipe", *arguments],
            cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    def files(self) -> set[Path]:
        """All that is in the installed package and its environment, but for compiled modules."""
        found = self.python.parents[1].rglob("*")
        return {path for path in found if "__pycache__" not in path.parts and path.is_file()}


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, as `make dist` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=REPOSITORY, check=True)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel with its extra for the sample, in an environment that sees nothing of this one."""
    folder = tmp_path_factory.mktemp("installed")
    folder.chmod(0o755)  # Postgres may run as another user
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    installed = Installation(folder / "venv/bin/python", folder / "home", folder / "empty")
    for made in (installed.home, installed.folder):
        made.mkdir()
    install(installed, f"{wheel}[agent]")
    return installed


def install(installed: Installation, *requirements: str) -> None:
    """With uv, in a tenth of the time, or with pip where uv finds no way to the packages."""
    constraints = ("--constraint", str(REPOSITORY / "constraints.txt"))
    uv = [
        str(Path(sys.executable).parent / "uv"),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(installed.python),
    ]
    done = subprocess.run([*uv, *constraints, *requirements], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pip = [str(installed.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *constraints, *requirements], check=True)
