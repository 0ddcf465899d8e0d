"""Packages of an arm's own, as `with` names them: by name and version, or as a folder with a Python project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from brokenpipe.files import describe_missing_folder
from brokenpipe.plan.errors.messages import shown
from brokenpipe.redaction import redacted_text

if TYPE_CHECKING:  # few scenarios name packages, and each command imports this module
    from packaging.requirements import Requirement

PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_ALLOWED = 'write a name with its version, such as "asyncpg==0.31.0", or a folder, such as "../my-library"'


def is_folder(package: str) -> bool:
    """Whether it is a folder, relative to that of the project, and not a name."""
    return package.startswith(("./", "../"))


def _requirement(package: str) -> Requirement:
    """Raises ValueError, of which InvalidRequirement is one."""
    from packaging.requirements import Requirement

    return Requirement(package)


def _name(requirement: Requirement) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(requirement.name)


def checked_package(package: str) -> str:
    """The same text. Raises ValueError for what is neither a requirement nor a relative folder."""
    if is_folder(package):
        return package
    try:
        requirement = _requirement(package)
    except ValueError as error:
        raise ValueError(f"{shown(redacted_text(package))} is no requirement; {_ALLOWED}") from error
    if requirement.url:
        raise ValueError(f"{requirement.name} @ … names an address, which may change; {_ALLOWED}")
    return package


def distinct_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    """The same packages. Raises ValueError if one is named twice."""
    names = [each if is_folder(each) else _name(_requirement(each)) for each in packages]
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"{twice[0]} is named twice: leave one out")
    return packages


def folder_problem(package: str, root: Path) -> str:
    """Why a folder cannot be installed, as words after its name; empty if it can, or if it is none."""
    if not is_folder(package):
        return ""
    if why := describe_missing_folder(root / package):
        return why
    found = any((root / package / name).is_file() for name in PROJECT_FILES[:2])
    return "" if found else f"has neither {' nor '.join(PROJECT_FILES[:2])}, so it is no Python project"


def pinned(packages: Iterable[str], versions: Mapping[str, str]) -> Iterator[str]:
    """The packages with the versions that a run had, as far as they are known; folders as they are."""
    for package in packages:
        requirement = None if is_folder(package) else _requirement(package)
        version = requirement and versions.get(_name(requirement))
        if requirement is None or version is None:
            yield package
            continue
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        yield f"{requirement.name}{extras}=={version}"
