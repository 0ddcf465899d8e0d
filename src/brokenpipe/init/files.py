"""The files that `init` writes: a folder `brokenpipe/` with target, scenario, locustfile and a page about them."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from brokenpipe.errors import UsageError
from brokenpipe.init.discovery import DiscoveredService
from brokenpipe.init.endpoints import Endpoint
from brokenpipe.plan.project import OWN_FOLDER

MAX_READS = 30  # endpoints that users ask for; a service of hundreds needs a choice by hand
FALLBACK = Endpoint("GET", "/", "/")
_UNSAFE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class NamedEndpoint:
    """An endpoint as the locustfile has it. `function`: the name of its task."""

    method: str
    name: str
    example: str
    function: str


def render(service: DiscoveredService, root: Path) -> dict[str, str]:
    """The files by their paths in the folder, which is that of the repository at `root`."""
    environment = Environment(
        loader=PackageLoader("brokenpipe.init"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - TOML, Python and Markdown, whose texts are quoted by filters
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["toml"] = _toml
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    values = _values(service, root)
    paths = {
        f"targets/{service.name}/target.toml": "target.toml.j2",
        "scenarios/default.toml": "default.toml.j2",
        "scenarios/locustfile.py": "locustfile.py.j2",
        "README.md": "README.md.j2",
    }
    files = {path: environment.get_template(name).render(values) for path, name in paths.items()}
    return files | {".gitignore": "reports/\n"}


def _values(service: DiscoveredService, root: Path) -> dict[str, object]:
    endpoints = service.endpoints.every
    reads = [each for each in endpoints if each.reads and not each.is_health][:MAX_READS]
    if not reads:
        health = service.ready
        reads = [Endpoint("GET", health, health) if health else FALLBACK]
    python = service.interpreter.value
    return {
        "service": service,
        "application": service.application,
        "start": service.start,
        "database": service.database,
        "folder": os.path.relpath(service.folder, root / OWN_FOLDER / "targets" / service.name),
        "python": _relative_python(python, service.folder) if python else "",
        "reads": _named(reads),
        "writes": _named([each for each in endpoints if not each.reads]),
        "source": service.endpoints.source or "a guess: its endpoints could not be read",
        "folder_name": OWN_FOLDER,
    }


def _relative_python(python: Path, folder: Path) -> str:
    relative = os.path.relpath(python, folder)
    return relative if not relative.startswith("../..") else str(python)


def _named(endpoints: Sequence[Endpoint]) -> list[NamedEndpoint]:
    """Each with the name of a function of its own."""
    named: list[NamedEndpoint] = []
    used: set[str] = set()
    for each in endpoints:
        base = _UNSAFE.sub("_", f"{each.method}_{each.path}".lower()).strip("_")
        function, number = base, 2
        while function in used:
            function, number = f"{base}_{number}", number + 1
        used.add(function)
        named.append(NamedEndpoint(each.method, each.name, each.example, function))
    return named


def _toml(value: object) -> str:
    """A value as TOML writes it: its basic strings are those of JSON."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def write_folder(root: Path, service: DiscoveredService, *, force: bool) -> Path:
    """Write all files at once: into a folder beside, which then gets the name. Returns the folder.

    What was there before is replaced only with `force`; reports stay. Raises UsageError.
    """
    folder = root / OWN_FOLDER
    require_free(folder, force=force)
    files = render(service, root)
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{OWN_FOLDER}-", dir=root))
        try:
            _write(made, files)
            _put_in_place(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def require_free(folder: Path, *, force: bool) -> None:
    """Raises UsageError if something is there that would be overwritten."""
    if folder.exists() and any(each.name != "reports" for each in folder.iterdir()) and not force:
        raise UsageError(
            f"{folder} is there already, and nothing in it was changed",
            remedy="Look at it with `brokenpipe check`; --force writes all files but reports/ anew.",
        )


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.chmod(0o755)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _put_in_place(made: Path, folder: Path) -> None:
    """Give the new folder the name. What was there is moved away first, and its reports move along."""
    if not folder.exists():
        made.rename(folder)
        return
    if (folder / "reports").is_dir():
        (folder / "reports").rename(made / "reports")
    before = folder.with_name(f".{OWN_FOLDER}-before-{os.getpid()}")
    folder.rename(before)
    made.rename(folder)
    shutil.rmtree(before, ignore_errors=True)
