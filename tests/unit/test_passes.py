"""The passes of `make test`: each test is in one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import MARKS

REPOSITORY = Path(__file__).parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def _folders(variable: str) -> set[str]:
    """The folders below tests/ that a pass of the Makefile reads."""
    found = re.search(rf"^{variable}\s*:= \$\(addprefix tests/,(.*)\)$", MAKEFILE, re.MULTILINE)
    assert found, f"no {variable} in the Makefile"
    return set(found[1].split())


@pytest.mark.parametrize("mark", ["low_load", "exclusive"])
def test_every_folder_with_a_marked_test_is_read(mark: str) -> None:
    """A mark takes a test out of the first pass, so that the pass of that mark has to find it."""
    marked = {folder for folder, given in MARKS.items() if given == mark}
    for path in REPOSITORY.glob("tests/*/**/test_*.py"):
        if re.search(rf"\bmark\.{mark}\b", path.read_text(encoding="utf-8")):
            marked.add(path.relative_to(REPOSITORY).parts[1])
    assert marked <= _folders(mark.upper())
    assert all((REPOSITORY / "tests" / folder).is_dir() for folder in marked)
