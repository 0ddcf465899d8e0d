"""Environments with packages of an arm's own: real ones, from wheels made here."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.wheels import only_from, write_wheel

from brokenpipe.errors import PackagesError
from brokenpipe.stack.interpreters.installed import installed_packages
from brokenpipe.stack.interpreters.package_environment import PackageRequest, interpreter_with
from brokenpipe.stack.processes.janitor import NoJanitor

REPLACED = "pg8000"  # the interpreter of the tests has a real one
VERSION = "0.0.7"


@dataclass
class Maker:
    """Makes environments in a cache of its own, and keeps what is said meanwhile."""

    root: Path
    said: list[str] = field(default_factory=list)

    def interpreter(self, *packages: str, base: Path = Path(sys.executable)) -> Path:
        request = PackageRequest("arms.old.with of it.toml", packages, base, self.root)
        return interpreter_with(request, NoJanitor(), self.said.append)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder, and the wheels beside it."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "wheels").mkdir()
    write_wheel(folder / "wheels", REPLACED, VERSION)
    return folder


@pytest.fixture
def maker(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """pip is told to take nothing but the wheels made here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("HOME", str(cache))
    for name, value in only_from(cache / "wheels").items():
        monkeypatch.setenv(name, value)
    return Maker(cache)


def _ask(python: Path, expression: str) -> str:
    script = f"import {REPLACED}, sqlalchemy; print({expression})"
    return subprocess.run(
        [python, "-c", script], capture_output=True, text=True, check=True, timeout=60, cwd="/"
    ).stdout.strip()


@pytest.mark.timeout(300)
def test_only_what_is_named_is_replaced(maker: Maker) -> None:
    """The arm imports its own version; every other package is that of the base, and nothing else was installed."""
    python = maker.interpreter(f"{REPLACED}=={VERSION}")
    assert _ask(python, f"{REPLACED}.VERSION") == VERSION
    ours = installed_packages(Path(sys.executable))
    own = installed_packages(python)
    assert own.packages[REPLACED] == VERSION != ours.packages[REPLACED]
    assert {**own.packages, REPLACED: ""} == {**ours.packages, REPLACED: ""}
    assert "sqlalchemy" in _ask(python, "sqlalchemy.__file__")
    assert own.python == ours.python
    assert "/" not in str(own.as_record())


@pytest.mark.timeout(300)
def test_an_environment_is_made_once(maker: Maker) -> None:
    """What is there is used. What an interrupted run left, or a clean-up, is made anew: by one of two at once."""
    python = maker.interpreter(f"{REPLACED}=={VERSION}")
    maker.said.clear()
    assert maker.interpreter(f"{REPLACED}=={VERSION}") == python
    assert maker.said == []
    next(python.parents[1].rglob(f"{REPLACED}/__init__.py")).unlink()
    with ThreadPoolExecutor(2) as executor:
        both = list(executor.map(lambda _: maker.interpreter(f"{REPLACED}=={VERSION}"), range(2)))
    assert both == [python, python]
    assert sum(said.startswith("installing") for said in maker.said) == 1
    assert _ask(python, f"{REPLACED}.VERSION") == VERSION


@pytest.mark.timeout(300)
def test_what_cannot_be_installed_is_named(maker: Maker, cache: Path) -> None:
    """Where it stands, what pip said, and what to do; nothing is left that looks whole."""
    before = set(cache.rglob("content.json"))
    with pytest.raises(PackagesError) as caught:
        maker.interpreter("no-such-thing==9")
    assert caught.value.exit_code == 4
    assert "arms.old.with of it.toml: no-such-thing==9 could not be installed" in caught.value.message
    assert any("No matching distribution" in line for line in caught.value.details)
    assert caught.value.remedy
    assert set(cache.rglob("content.json")) == before


@pytest.mark.parametrize("program", ["/bin/ls", "/nowhere/python"])
def test_what_is_no_interpreter(maker: Maker, program: str) -> None:
    """`python` may name any program: one that does not answer is named."""
    with pytest.raises(PackagesError, match=f"{program}: does not answer as a Python interpreter"):
        maker.interpreter("a==1", base=Path(program))
