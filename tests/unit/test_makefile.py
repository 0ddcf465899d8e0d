"""The Makefile: what can be made is a command, whatever files lie about."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from brokenpipe.stack.proxy.toolchain import BUILD_FLAGS

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")


def test_every_command_is_phony() -> None:
    """A file or folder called "truth" or "report" does not keep make from doing it."""
    commands = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert commands - set(phony.split()) == set()


def test_the_early_build_fills_the_cache_of_the_real_one() -> None:
    """Go's cache is filled with the flags with which the server is built: with others all would be compiled twice."""
    assert f"GO_FLAGS := {' '.join(BUILD_FLAGS)}\n" in MAKEFILE
    assert "go build $(GO_FLAGS) -o /dev/null ." in MAKEFILE
    assert "CGO_ENABLED=0" in MAKEFILE


def test_only_what_is_no_run_asks_for_the_packages_of_tests() -> None:
    """`make loadtest` and the other commands of a user install no packages of tests."""
    needs = dict(re.findall(r"^([a-z]+): (setup|develop)\b", MAKEFILE, re.MULTILINE))
    developed = {command for command, need in needs.items() if need == "develop"}
    assert developed == {"truth", "silence", "sabotage", "test", "bench", "lint", "format", "dist"}
    assert needs["loadtest"] == "setup"


@pytest.mark.parametrize("go", ["", "go"])
def test_every_line_of_a_recipe_can_be_read_by_a_shell(go: str) -> None:
    """With and without Go on PATH: a comma in a message is no end of what make puts into a recipe."""
    printed = subprocess.run(
        ["make", "--dry-run", "--always-make", f"GO={go}", "setup", "develop", "compiled"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in printed.stdout.replace("\\\n", " ").splitlines():  # each has a shell of its own
        read = subprocess.run(["sh", "-n", "-c", line], capture_output=True, text=True, check=False)
        assert read.stderr == "", line
