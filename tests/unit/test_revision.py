"""Which code was run, as git knows it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from brokenpipe.drive.git_revision import revision_of
from brokenpipe.measure.run_metadata import recorded_environment

WHO = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *WHO, *arguments], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


def _commit(folder: Path) -> str:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "test")
    return _git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A service beside something else, in one repository."""
    _git(tmp_path, "init", "-q")
    for name in ("service", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text("1\n")
    return tmp_path


def test_the_revision_is_the_last_commit_that_touched_it(checkout: Path) -> None:
    """A commit elsewhere in the repository is not another version of the service."""
    first = _commit(checkout)
    (checkout / "other" / "app.py").write_text("2\n")
    second = _commit(checkout)
    assert revision_of(checkout / "service") == {"revision": first, "changes": None}
    assert revision_of(checkout / "other" / "app.py") == {"revision": second, "changes": None}


def test_what_is_not_committed_is_told_apart(checkout: Path) -> None:
    """Each state of uncommitted work has a digest of its own."""
    _commit(checkout)
    digests = set()
    for text in ("2\n", "3\n"):
        (checkout / "service" / "app.py").write_text(text)
        found = revision_of(checkout / "service")
        assert found is not None
        digests.add(found["changes"])
    assert len(digests) == 2
    assert None not in digests


def test_without_git_nothing_is_known(tmp_path: Path) -> None:
    """A folder in no repository has no revision, and that is no error."""
    assert revision_of(tmp_path) is None


def test_a_run_of_code_that_git_does_not_know_is_reported(tmp_path: Path) -> None:
    """The service of somebody who has no repository: there is a null in the place of its revision."""
    recorded = {"code": {"target": None, "brokenpipe": {"revision": "0c54fae", "changes": None}}}
    (tmp_path / "environment.json").write_text(json.dumps(recorded))
    assert recorded_environment(tmp_path) == recorded
