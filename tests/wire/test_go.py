"""The Toxiproxy server's own tests, which are Go's, with the Go that builds it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from brokenpipe.stack.proxy.toolchain import BUILD_FLAGS, Go, find_go

PROXIES = Path(__file__).parents[2] / "proxies"


@pytest.fixture(scope="module")
def go() -> Go:
    return find_go(PROXIES)


def said_by(go: Go, program: Path, *arguments: str) -> tuple[int, str]:
    """With BUILD_FLAGS and without C, as the server is built: else Go's whole library would be compiled once more."""
    done = subprocess.run(
        [program, *arguments],
        cwd=PROXIES,
        env={**go.environment, "CGO_ENABLED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=170,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.exclusive  # milliseconds count
def test_the_toxics_do_to_a_client_what_they_say(go: Go) -> None:
    """`go test` passes, and did run tests."""
    code, said = said_by(go, go.program, "test", *BUILD_FLAGS, "-count=1", "-v", "./...")
    assert code == 0, said
    assert said.count("--- PASS") > 10


def test_the_go_code_is_vetted_and_formatted(go: Go) -> None:
    """`go vet` finds nothing and `gofmt` would change nothing."""
    code, said = said_by(go, go.program, "vet", *BUILD_FLAGS, "./...")  # it may also say what it fetches
    assert code == 0, said
    assert said_by(go, go.program.with_name("gofmt"), "-l", ".") == (0, "")
