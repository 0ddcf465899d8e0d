"""What is installed for an interpreter: its version, and its packages with theirs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.errors import PackagesError
from brokenpipe.stack.processes.process import clean_environment

LOOK_TIMEOUT_S = 60.0  # measured: 0.2 s

# It runs in the interpreter of a target, which has nothing of ours. Of two packages of one name the first is imported.
_SCRIPT = """
import json, platform, re, site, sys
from importlib import metadata
packages = {}
for each in metadata.distributions():
    name = each.metadata["Name"]
    if name:
        packages.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
folders = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
print(json.dumps({"python": platform.python_version(), "packages": packages, "folders": folders}))
"""


@dataclass(frozen=True, slots=True)
class InstalledPackages:
    """The version of an interpreter, and those of its packages by their canonical names. `folders`: where they are."""

    python: str
    packages: Mapping[str, str]
    folders: tuple[str, ...]

    def as_record(self) -> dict[str, object]:
        """For environment.json: without any path."""
        return {"python": self.python, "packages": dict(sorted(self.packages.items()))}


def installed_packages(python: Path) -> InstalledPackages:
    """Look at an interpreter. Raises PackagesError if it does not answer as a Python does."""
    try:
        answer = subprocess.run(
            [python, "-c", _SCRIPT],
            check=True,
            cwd="/",
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=LOOK_TIMEOUT_S,
        )
        found = json.loads(answer.stdout)
        return InstalledPackages(found["python"], found["packages"], tuple(found["folders"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        said = (getattr(error, "stderr", None) or str(error)).splitlines()[-1:]
        raise PackagesError(
            f"{python}: does not answer as a Python interpreter",
            remedy="Correct `python` in the scenario or in target.toml: such as bin/python of a virtual environment.",
            details=tuple(said),
        ) from error
