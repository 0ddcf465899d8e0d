"""The passes of `make test`: each test is in one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import LONGEST, MARKS, ONE_PROCESS, together_with

REPOSITORY = Path(__file__).parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def _folders(variable: str) -> set[str]:
    """The folders below tests/ that a pass of the Makefile reads."""
    found = re.search(rf"^{variable}\s*:= \$\(addprefix tests/,(.*)\)$", MAKEFILE, re.MULTILINE)
    assert found, f"no {variable} in the Makefile"
    return set(found[1].split())


def _marked(mark: str) -> set[str]:
    """The folders in which a test has that mark."""
    marked = {folder for folder, given in MARKS.items() if given == mark}
    for path in REPOSITORY.glob("tests/*/**/test_*.py"):
        if re.search(rf"\bmark\.{mark}\b", path.read_text(encoding="utf-8")):
            marked.add(path.relative_to(REPOSITORY).parts[1])
    return marked


@pytest.mark.parametrize("mark", ["low_load", "exclusive"])
def test_every_folder_with_a_marked_test_is_read(mark: str) -> None:
    """A mark takes a test out of the first pass, so that the pass of that mark has to find it."""
    marked = _marked(mark)
    assert marked <= _folders(mark.upper())
    assert all((REPOSITORY / "tests" / folder).is_dir() for folder in marked)


def test_who_starts_no_server_has_no_mark() -> None:
    """These folders are read whole, beside the first pass: a test of theirs in another pass would run twice."""
    assert not (_marked("low_load") | _marked("exclusive")) & _folders("NO_SERVER")


def test_the_longest_files_are_there() -> None:
    """A name that nobody has any more would let what takes long begin late."""
    assert [name for name in LONGEST if not (REPOSITORY / "tests" / name).is_file()] == []


def test_folders_that_share_stay_together() -> None:
    """Any two files of such a folder are given to one process; of another folder each may go to another."""
    assert ONE_PROCESS
    for folder in ONE_PROCESS:
        files = sorted((REPOSITORY / "tests" / folder).glob("test_*.py"))
        given = {together_with(f"{path.relative_to(REPOSITORY)}::test") for path in files}
        assert len(files) > 1
        assert given == {f"tests/{folder}"}
    assert together_with("tests/stack/test_kill.py::test_one[a::b]") == "tests/stack/test_kill.py"
