"""The files that travel with the program: Go sources of the proxy, scenarios, the sample's services, containers.

    a checkout        the folders of the repository, beside src/
    an installation   the same folders inside the package, in data/

That is how a wheel is made: see `[tool.hatch.build.targets.wheel]` in pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSIDE = _PACKAGE / "data"


def is_installation() -> bool:
    """Whether this program was installed from a wheel, and belongs to no checkout."""
    return _INSIDE.is_dir()


def bundled_folder() -> Path:
    """The folder with proxies/, scenarios/, targets/ and compose/."""
    return _INSIDE if is_installation() else _PACKAGE.parents[1]
