"""A temporary folder that is registered with the janitor before it exists, so that it is removed in any case."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokenpipe.errors import StackError
from brokenpipe.stack.processes.janitor import Janitor, remove


@contextmanager
def scratch_folder(prefix: str, janitor: Janitor, *, inside: Path | None = None) -> Iterator[Path]:
    """A fresh folder for this user alone, removed after the block; `inside` TMPDIR by default.

    Raises StackError.
    """
    try:
        folder = (inside or Path(tempfile.gettempdir())) / f"{prefix}{secrets.token_hex(6)}"
        janitor.register_folder(folder)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StackError(
            f"no temporary folder can be made in {inside or 'TMPDIR'}: {error.strerror or error}",
            remedy="Make room there" + ("." if inside else ", or name another place in TMPDIR."),
        ) from error
    try:
        yield folder
    finally:
        remove(folder)
