"""Names of code: those that were given up do not come back, and a class name means one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD_NAMES = Path(__file__).parent / "old_names"
PACKAGE = ROOT / "src" / "brokenpipe"
PROXIES = "proxies"

# Class names that still stand twice. Only ever shorter.
DOUBLE = frozenset(
    {
        "Progress",
    }
)


def _python() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _checked_files(name: str) -> Iterable[Path]:
    """Go files for the names of the proxies, else Python and its templates, which use attribute names."""
    if name == PROXIES:
        return sorted((ROOT / PROXIES).glob("*.go"))
    return [*_python(), *sorted(PACKAGE.rglob("*.j2"))]


def _words(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", path.read_text(encoding="utf-8")))


def _classes() -> Iterator[tuple[str, str]]:
    for path in _python():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name.lstrip("_"), path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("names", sorted(OLD_NAMES.glob("*.txt")), ids=lambda path: path.stem)
def test_names_that_were_given_up_do_not_come_back(names: Path) -> None:
    """No name of these lists is a word of the code."""
    old = {name for line in names.read_text(encoding="utf-8").splitlines() if (name := line.strip())}
    found = {
        path.relative_to(ROOT).as_posix(): sorted(again)
        for path in _checked_files(names.stem)
        if (again := old & _words(path))
    }
    assert found == {}


def test_a_class_name_means_one_thing() -> None:
    """No two classes of the package have the same name, leading underscores aside."""
    homes: dict[str, list[str]] = defaultdict(list)
    for name, path in _classes():
        homes[name].append(path)
    double = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert {name: paths for name, paths in double.items() if name not in DOUBLE} == {}
