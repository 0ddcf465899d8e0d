"""The data of an empty Postgres, made once by initdb and copied for every run: copying takes a quarter of the time.

It lies in the user's cache folder, which is closed to other users, together with the password of its superuser: a copy
gets another one when it is started. A template with missing files, as after a clean-up of old files, is deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from brokenpipe.errors import StackError
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.user_cache import user_cache_folder

_CONTENT = "content.json"
COPY_TIMEOUT_S = 30.0  # measured: 0.1 s


@dataclass(frozen=True, slots=True)
class _Content:
    """Password and size of a template."""

    password: str
    files: int
    size_bytes: int

    @classmethod
    def of(cls, data: Path, password: str) -> Self:
        sizes = list(_file_sizes(str(data)))
        return cls(password, len(sizes), sum(sizes))


def _file_sizes(folder: str) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _file_sizes(entry.path)
            elif entry.is_file():
                yield entry.stat().st_size


def _copy(source: Path, target: Path) -> None:
    """By a program: a thousand small files take Python a second of the processor. Raises OSError."""
    with suppress(OSError, subprocess.TimeoutExpired):
        copied = subprocess.run(
            ["cp", "-R", "-P", f"{source}/.", target],
            check=False,
            capture_output=True,
            timeout=COPY_TIMEOUT_S,
        )
        if copied.returncode == 0:
            return
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def template_folder(name: str) -> Path:
    """Path of the template of that name, whether or not it exists."""
    return user_cache_folder() / name


def copy_template(template: Path, data: Path) -> str | None:
    """Fill the empty folder `data` from a template. Its password; None: there is no template, and `data` is empty."""
    if not template.is_dir():
        return None
    with suppress(OSError, ValueError, TypeError):
        content = _Content(**json.loads((template / _CONTENT).read_text(encoding="utf-8")))
        _copy(template / "data", data)
        if _Content.of(data, content.password) == content:
            return content.password
    for folder in (template, data):
        shutil.rmtree(folder, ignore_errors=True)
    data.mkdir(mode=0o700)
    return None


def save_template(template: Path, data: Path, password: str, janitor: Janitor) -> None:
    """Keep a copy of `data`, which no server has used yet. Without room for it, or leave, none is kept."""
    if not template.is_absolute():  # there is no home
        return
    with suppress(OSError, StackError):
        template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with scratch_folder("fresh-", janitor, inside=template.parent) as fresh:
            complete = fresh / "whole"
            complete.mkdir(mode=0o700)
            shutil.copytree(data, complete / "data", symlinks=True)
            content = asdict(_Content.of(data, password))
            (complete / _CONTENT).write_text(json.dumps(content), encoding="utf-8")
            complete.rename(template)  # if another run was faster, this fails and its template stays
