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
