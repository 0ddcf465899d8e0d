"""The names of a history's files: who writes, in which part of the experiment, and which segment of that it is.

    requests.ndjson        the load, in the first part
    requests.2.ndjson      the same, going on in a file of its own, since the first was large
    requests.r2.ndjson     the load, in the second part: the experiment was cut off and resumed

A file that is closed is never touched again, so whatever happens can harm the end of the newest ones only.
"""

from __future__ import annotations

import re
from pathlib import Path

LARGE_BYTES = 64_000_000

_PART = re.compile(r"\.r(\d+)(?:\.\d+)?\.ndjson$")


def part_suffix(part: int) -> str:
    """What stands before `.ndjson` in the names of a part's files."""
    return "" if part == 1 else f".r{part}"


def first_file(folder: Path, writer: str, part: int = 1) -> Path:
    """A writer's first file in a part."""
    return folder / f"{writer}{part_suffix(part)}.ndjson"


def segment_file(first: Path, number: int) -> Path:
    """The n-th file of a writer, from the path of its first."""
    return first if number == 1 else first.with_name(f"{first.name.removesuffix('.ndjson')}.{number}.ndjson")


def part_of(path: Path) -> int:
    """In which part a file was written."""
    found = _PART.search(path.name)
    return int(found[1]) if found else 1


def last_part(folder: Path) -> int:
    """How many parts an experiment has so far; 0: nothing was written."""
    return max((part_of(path) for path in folder.glob("*.ndjson")), default=0)
