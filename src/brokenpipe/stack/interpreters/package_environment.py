"""A virtual environment with packages of an arm's own, over those of the interpreter that it would have had.

    own packages    installed by pip, and what they need that the base does not have
    base packages   reached through a path file, as they are; what has the same name is hidden by the own ones

It lies in the user's cache folder under a name made from the interpreter, its packages and what was asked for. It is
whole once it has its record, which is written last; what is not whole is made anew. A lock lets one process make it,
and pip inherits the lock: while pip lives, nobody else writes there.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokenpipe import atomic_write
from brokenpipe.errors import PackagesError
from brokenpipe.plan.packages import PROJECT_FILES, is_folder
from brokenpipe.redaction import redacted_text
from brokenpipe.stack.interpreters.installed import installed_packages
from brokenpipe.stack.processes.janitor import RUN_VARIABLE, Janitor
from brokenpipe.stack.user_cache import user_cache_folder

INSTALL_TIMEOUT_S = 600.0  # measured: 4 s
_FORMAT = 1
_RECORD = "content.json"
_ERRORS_SHOWN = 6
_ERROR_CHARACTERS = 300
_NOT_INHERITED = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "PIP_REQUIREMENT",
    "PIP_REPORT",
)


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """Packages for an arm, over those of `base`. `key`: where the scenario names them; `root`: of its project."""

    key: str
    packages: tuple[str, ...]
    base: Path
    root: Path

    @property
    def arguments(self) -> list[str]:
        """The packages as pip takes them. A folder is read where it is, as it is at each run."""
        return [
            part
            for package in self.packages
            for part in (("-e", str((self.root / package).resolve())) if is_folder(package) else (package,))
        ]


def interpreter_with(request: PackageRequest, janitor: Janitor, on_step: Callable[[str], None]) -> Path:
    """The interpreter of the environment with these packages, which is made first if there is none.

    Raises PackagesError when it cannot be made.
    """
    base = installed_packages(request.base)
    basis = [_FORMAT, str(request.base), base.python, sorted(base.packages.items()), base.folders]
    asked = [*request.arguments, *map(_project_digest, request.arguments)]
    name = hashlib.sha256(json.dumps([basis, asked]).encode()).hexdigest()[:16]
    folder = _cache_folder() / f"packages-{name}"
    if not _is_whole(folder):
        with _locked(folder, request, on_step) as lock:
            if not _is_whole(folder):
                on_step(f"installing {', '.join(request.packages)} for {request.key}")
                _make(folder, request, base.folders, janitor, lock)
    return _python(folder)


def _project_digest(argument: str) -> str:
    """A digest of what a folder says about itself: when that changes, so may the packages that it needs."""
    digest = hashlib.sha256()
    for path in (Path(argument) / name for name in PROJECT_FILES):
        digest.update(path.read_bytes() if path.is_absolute() and path.is_file() else b"")
    return digest.hexdigest()


def _cache_folder() -> Path:
    folder = user_cache_folder()
    try:
        if not folder.is_absolute():
            raise FileNotFoundError("there is no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _no_room(folder, error) from error
    return folder


def _no_room(folder: Path, error: OSError) -> PackagesError:
    return PackagesError(
        f"packages of an arm cannot be kept in {folder}: {error.strerror or error}",
        remedy="Make room there, or name another place in XDG_CACHE_HOME.",
    )


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _site_packages(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("lib/python*/site-packages"))), None)


def _count_files(folder: Path) -> int:
    """Number of files, without those that Python compiles."""
    packages = _site_packages(folder)
    return sum(path.is_file() and path.suffix != ".pyc" for path in packages.rglob("*")) if packages else 0


def _is_whole(folder: Path) -> bool:
    """Whether it was made to its end, and no clean-up of old files has been there."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return bool(record["files"] == _count_files(folder) and _python(folder).exists())
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def _locked(folder: Path, request: PackageRequest, on_step: Callable[[str], None]) -> Iterator[int]:
    """The lock of a folder. It ends with the last process that has it open."""
    try:
        descriptor = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _no_room(folder.parent, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_step(f"waiting for another run that installs {', '.join(request.packages)}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _make(folder: Path, request: PackageRequest, base: Sequence[str], janitor: Janitor, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted making left
    _run([str(request.base), "-m", "venv", "--without-pip", str(folder)], request, janitor, lock)
    packages = _site_packages(folder)
    if packages is None:
        raise _failed(request, ["the interpreter made a virtual environment without a folder for packages"])
    try:
        # `addsitedir` reads path files there, too, such as those of packages that are installed in place.
        lines = [f"import site; site.addsitedir({each!r})\n" for each in base]
        (packages / "zz_base_packages.pth").write_text("".join(lines), encoding="utf-8")
        pip = [
            _pip_python(request),
            "-m",
            "pip",
            "--python",
            str(_python(folder)),
            "--disable-pip-version-check",
        ]
        quiet = ["install", "--no-input", "--progress-bar", "off", "--no-warn-script-location"]
        _run([*pip, *quiet, *request.arguments], request, janitor, lock)
        atomic_write.write_text(folder / _RECORD, json.dumps({"files": _count_files(folder)}) + "\n")
    except OSError as error:
        raise _no_room(folder, error) from error


def _pip_python(request: PackageRequest) -> str:
    """An interpreter that has pip: ours, or the arm's."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    if "pip" in installed_packages(request.base).packages:
        return str(request.base)
    raise PackagesError(
        f"{request.key}: there is no pip to install {', '.join(request.packages)} with",
        remedy=f"Install it: `{sys.executable} -m ensurepip`.",
    )


def _run(command: list[str], request: PackageRequest, janitor: Janitor, lock: int) -> None:
    """Run a program to its end. pip's own settings, such as its index, are those of the user."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    try:
        done = subprocess.run(
            command,
            check=False,
            env={**environment, RUN_VARIABLE: janitor.run_id},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            pass_fds=(lock,),
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(request, [f"no end after {INSTALL_TIMEOUT_S:.0f} s"]) from error
    except OSError as error:
        raise _failed(request, [f"{command[0]}: {error.strerror or error}"]) from error
    if done.returncode:
        raise _failed(request, done.stdout.splitlines())


def _failed(request: PackageRequest, lines: Sequence[str]) -> PackagesError:
    errors = [line for line in lines if line.lstrip().lower().startswith("error")] or list(lines)
    shown = [redacted_text(line.strip())[:_ERROR_CHARACTERS] for line in errors if line.strip()]
    return PackagesError(
        f"{request.key}: {', '.join(request.packages)} could not be installed",
        remedy="Correct the name or the version there, or see to it that pip reaches its index.",
        details=tuple(shown[-_ERRORS_SHOWN:]),
    )
