"""The git revision of a folder or file: the last commit that touched it, and uncommitted changes."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

GIT_TIMEOUT_S = 5.0


def revision_of(path: Path) -> dict[str, str | None] | None:
    """The code of a folder or file: `revision`, a commit, and `changes`, a digest of what is not committed, or None.

    None if git is missing or does not track it.
    """
    folder, name = (path, ".") if path.is_dir() else (path.parent, path.name)
    commit = _git(folder, "log", "-1", "--format=%H", "--", name)
    status = _git(folder, "status", "--porcelain", "--", name)
    if not commit or status is None:
        return None
    changes = f"{status}\n{_git(folder, 'diff', 'HEAD', '--', name)}" if status else ""
    digest = hashlib.sha256(changes.encode()).hexdigest() if changes else None
    return {"revision": commit, "changes": digest}


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of git; None if it fails for any reason: a run does not depend on it."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "--no-optional-locks", *arguments],
            capture_output=True, text=True, errors="replace", timeout=GIT_TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
