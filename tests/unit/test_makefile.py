"""The Makefile: what can be made is a command, whatever files lie about."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")


def test_every_command_is_phony() -> None:
    """A file or folder called "truth" or "report" does not keep make from doing it."""
    commands = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert commands - set(phony.split()) == set()
