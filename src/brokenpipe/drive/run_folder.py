"""The report folder of a run: made, locked and written before anything runs."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

import brokenpipe
from brokenpipe import atomic_write
from brokenpipe.drive.git_revision import revision_of
from brokenpipe.errors import RecordingError, ReportError, UsageError
from brokenpipe.faults import registry
from brokenpipe.history.file_names import first_file
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.secrets.redacted_plan import redacted_plan, redacted_toml
from brokenpipe.redaction import redacted_arguments
from brokenpipe.stack.stack import Stack

PACKAGES = ("brokenpipe", "locust", "sqlalchemy", "asyncpg", "psycopg", "fastapi", "uvicorn")


def new_report_folder(reports: Path, stem: str) -> Path:
    """reports/<stem>/<UTC time>. It is the latest once it can be read: `point_latest_at`. Raises RecordingError."""
    try:
        (reports / stem).mkdir(parents=True, exist_ok=True)
        folder = _make_unused_folder(reports / stem)
        (folder / "logs").mkdir()
    except OSError as error:
        raise write_error(reports / stem, error) from error
    return folder


def _make_unused_folder(parent: Path) -> Path:
    while True:
        folder = parent / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            folder.mkdir()
        except FileExistsError:  # another run began in this second
            time.sleep(0.1)
        else:
            return folder


def point_latest_at(folder: Path) -> None:
    """Let `latest` of its scenario lead to this folder, which has a plan and a history. Raises RecordingError."""
    fresh = folder.parent / f".latest-{os.getpid()}"
    try:
        fresh.unlink(missing_ok=True)  # left by a crashed process with the same pid
        fresh.symlink_to(folder.name)
        fresh.replace(folder.parent / "latest")
    except OSError as error:
        raise write_error(folder.parent, error) from error


def remove_if_not_begun(folder: Path) -> None:
    """Remove a folder that has no history: it cannot be reported."""
    if not first_file(folder, "experiment").exists():
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a report folder against other recordings. The lock ends with this process, even if it is killed.

    Raises UsageError if another process records into it, ReportError if it is no folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ReportError(
            f"{folder}: is no report folder: {error.strerror}",
            remedy="Give one that `brokenpipe run` or `soak` made; `brokenpipe list` names them.",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"{folder}: an experiment is being recorded there now",
            remedy="Wait for its end, or end it first.",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def write_plan(folder: Path, plan: Plan, sources: Sources) -> None:
    """`scenario.toml` as it was read, and `plan.json`: what is run, after every override. Both without secrets."""
    try:
        atomic_write.write_text(folder / "scenario.toml", redacted_toml(sources.scenario_text))
        atomic_write.write_text(folder / "plan.json", redacted_plan(plan).model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise write_error(folder, error) from error


def installed_versions() -> dict[str, str]:
    """The versions of `PACKAGES`; what is not installed is left out: only the sample's services need all of them."""
    versions = {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def write_environment(folder: Path, plan: Plan, sources: Sources, command: str) -> None:
    """`environment.json`: versions, revisions of the code, machine, seed, the command that repeats it, and its file.

    `faults`: those of other distributions, so that another machine can name what it would have to install.
    """
    versions = {"python": platform.python_version(), **installed_versions()}
    document = {
        "command": command,
        "scenario_file": str(sources.scenario_path.resolve()),
        "seed": plan.scenario.seed,
        "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "machine": platform.machine(),
        "system": platform.platform(),
        "versions": versions,
        "faults": {
            name: {
                "distribution": plugin.distribution,
                "version": plugin.version,
                "momentary": registry().kinds[name].momentary,
            }
            for name, plugin in registry().plugins.items()
        },
        "code": {
            "target": revision_of(sources.target_folder),
            **{f"target {name}": revision_of(path) for name, path in sources.other_folders.items()},
            **{f"with {name}": revision_of(path) for name, path in sources.package_folders.items()},
            "locustfile": revision_of(sources.locustfile),
            "brokenpipe": revision_of(Path(brokenpipe.__file__).parent),
        },
    }
    try:
        atomic_write.write_text(folder / "environment.json", json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise write_error(folder, error) from error


def write_stack_versions(folder: Path, stack: Stack) -> None:
    """Add what is known once the stack runs to `environment.json`: versions of the servers, and packages of arms."""
    path = folder / "environment.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["versions"] |= stack.versions
        if stack.installed:
            document["arms"] = {arm: found.as_record() for arm, found in stack.installed.items()}
        atomic_write.write_text(path, json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise write_error(folder, error) from error


def write_error(folder: Path, error: OSError) -> RecordingError:
    """The RecordingError for a file that could not be written."""
    return RecordingError(
        f"{folder}: cannot be written: {error.strerror or error}",
        remedy="Make room there; `brokenpipe run` takes another place with --reports DIR.",
    )


def command_line() -> str:
    """The command line as typed, without the path of the program and without secrets."""
    import shlex

    return shlex.join(["brokenpipe", *redacted_arguments(sys.argv[1:])])
