"""A command prefix that gives up root: Postgres refuses to run as root.

First choice: a user namespace, in which root is uid 1000. The files stay where they are and belong to root.
Where the kernel forbids that: the uid of `nobody`, on a copy of the installation that it may read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.errors import PostgresError

_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@dataclass(frozen=True, slots=True)
class UnprivilegedRunner:
    """`prefix` goes before each command; `owner` must own the data folder (None: the current user)."""

    prefix: tuple[str, ...] = ()
    owner: int | None = None

    def chown(self, path: Path) -> None:
        """Give a file, or a folder with all that is in it, to the user that runs the commands."""
        if self.owner is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.owner, self.owner, follow_symlinks=False)

    def make_readable(self, installation: Path, folder: Path) -> Path:
        """The installation, or a copy of it in `folder` that the unprivileged user can reach."""
        if self.owner is None:
            return installation
        copy = folder / "pginstall"
        shutil.copytree(installation, copy, symlinks=True)
        folder.chmod(0o711)
        return copy


def unprivileged_runner() -> UnprivilegedRunner:
    """The prefix for starting Postgres from here. Raises PostgresError when there is no way to give up root."""
    if os.geteuid() != 0:
        return UnprivilegedRunner()
    if _works(_NAMESPACE):
        return UnprivilegedRunner(_NAMESPACE)
    return setpriv_runner()


def setpriv_runner() -> UnprivilegedRunner:
    """The second choice: another uid. Raises PostgresError when that does not work either."""
    uid = pwd.getpwnam("nobody").pw_uid
    prefix = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--")
    if _works(prefix):
        return UnprivilegedRunner(prefix, owner=uid)
    raise PostgresError(
        "Postgres refuses to run as root, and neither `unshare --user` nor `setpriv` works here",
        remedy="Run as an ordinary user, or install util-linux.",
    )


def _works(prefix: tuple[str, ...]) -> bool:
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
