"""Everything that was made in reports/: runs by scenario, comparisons and trends. For the start page and for `list`."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from brokenpipe.report.index.summaries import FILE, StoredSummary, newest_first, read_summaries

_HEAD_BYTES = 4096  # the title stands before styles and scripts
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_GENERATOR_TAG = '<meta name="generator" content="brokenpipe">'
_PAGES = ("compare-*.html", "trend*.html")


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A report folder. `found` is None where it has no summary that can be read; `why` says so."""

    folder: Path
    found: StoredSummary | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class OtherPage:
    """A comparison or a trend."""

    path: Path
    title: str
    written: datetime


@dataclass(frozen=True, slots=True)
class ReportCollection:
    """`scenarios`: the one with the newest run first, and of each the newest run first."""

    folder: Path
    scenarios: tuple[tuple[str, tuple[ReportedRun, ...]], ...]
    pages: tuple[OtherPage, ...]  # the newest first

    @property
    def runs(self) -> int:
        return sum(len(runs) for _, runs in self.scenarios)


def read_collection(folder: Path) -> ReportCollection:
    """What a folder of reports holds. Nothing if there is no such folder."""
    found, skipped = read_summaries(folder)
    known = {each.folder for each in found}
    broken = {each.path.parent: each.why for each in skipped}
    runs: dict[str, list[ReportedRun]] = defaultdict(list)
    for each in newest_first(found):
        runs[each.summary.scenario].append(ReportedRun(each.folder, each))
    for place in _report_folders(folder):
        if place not in known:
            runs[place.parent.name].append(ReportedRun(place, None, broken.get(place, f"has no {FILE}")))
    return ReportCollection(
        folder, tuple((stem, tuple(each)) for stem, each in runs.items()), tuple(_pages(folder))
    )


def collection_folder_of(run: Path, stem: str) -> Path | None:
    """The folder of reports in which a run's folder lies: reports/<stem>/<time>. None if it lies elsewhere."""
    place = run.resolve()
    return place.parent.parent if place.parent.name == stem and _is_time(place.name) else None


def _is_time(name: str) -> bool:
    return re.fullmatch(r"\d{8}T\d{6}Z", name) is not None


def _report_folders(folder: Path) -> Iterator[Path]:
    for plan in sorted(folder.glob("*/*/plan.json"), reverse=True):
        if not plan.parent.is_symlink():
            yield plan.parent


def _pages(folder: Path) -> list[OtherPage]:
    found = [page for pattern in _PAGES for path in folder.glob(pattern) if (page := _page(path))]
    return sorted(found, key=lambda page: page.written, reverse=True)


def _page(path: Path) -> OtherPage | None:
    """A page of ours by its title; what somebody else put there is left alone."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD_BYTES)
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
    title = _TITLE.search(head)
    return OtherPage(path, html.unescape(title[1]), written) if title and _GENERATOR_TAG in head else None
