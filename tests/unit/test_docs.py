"""Documentation can be found, and its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import brokenpipe

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
DECISIONS = DOCS / "decisions"
PAGES = [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *(REPOSITORY / "proxies").glob("*.md")]
PACKAGE = REPOSITORY / "src" / "brokenpipe"
ROOMS = "|".join(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
CODE = re.compile(rf"`((?:{ROOMS}|proxies|tests|bench|compose)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def linked(page: Path) -> Iterator[Path]:
    """The files that its links name, without anchors."""
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if path := link.partition("#")[0]:
            yield (page.parent / path).resolve()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    """Folders have been moved since most of them were written."""
    assert [path for path in linked(page) if not path.exists()] == []


@pytest.mark.parametrize("folder", [DOCS, DECISIONS], ids=["docs", "decisions"])
def test_every_page_is_in_its_index(folder: Path) -> None:
    """A page that nobody links to is read by nobody."""
    index = folder / "README.md"
    assert set(folder.glob("*.md")) - {index} <= set(linked(index))


def test_the_changelog_knows_this_version() -> None:
    """The version is written in one place; what is new in it, in the changelog."""
    assert f"\n## {brokenpipe.__version__} – " in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def is_there(path: str) -> bool:
    """In the package or in the repository; `NAME` stands for any."""
    return "NAME" in path or (PACKAGE / path).exists() or (REPOSITORY / path).exists()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent != DECISIONS],
    ids=lambda page: str(page.relative_to(REPOSITORY)),
)
def test_every_module_that_is_named_is_there(page: Path) -> None:
    """Decisions apart, which tell of their day: what a page calls a module or a folder of the code is one."""
    named = CODE.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not is_there(path)] == []


@pytest.mark.parametrize("way", ["request", "fault"])
def test_a_way_through_the_program_has_a_dozen_stations_at_most(way: str) -> None:
    """The map stays one page."""
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## The way of one {way}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert 5 < len(re.findall(r"^\| \d+ \|", section, re.MULTILINE)) <= 12
    assert len(text.splitlines()) < 100


def test_the_tests_to_copy_are_tests_that_run() -> None:
    """Each block of the page on pytest stands in the file that CI runs, and each test of that file on the page."""
    page = (DOCS / "pytest.md").read_text(encoding="utf-8")
    examples = (REPOSITORY / "tests/testing/test_examples.py").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if block not in examples] == []
    tests = re.findall(r"def (test_\w+)", examples)
    assert len(tests) == 5
    assert set(tests) == set(re.findall(r"def (test_\w+)", "".join(blocks)))
