"""`summary.json` read back: what lists, the start page and the trend know of a run. No history is needed.

A summary may lie anywhere below a folder, by itself or in its report folder. What is none, or of a later version, is
skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from brokenpipe.files import UnfitFile
from brokenpipe.json_file import read_object
from brokenpipe.plain_text import shorten
from brokenpipe.redaction import redacted_environments

FILE = "summary.json"


Count = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Difference = Annotated[float, Field(ge=-1e9, le=1e9)]
Ends = tuple[Difference, Difference] | None
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(3000, 1, 1, tzinfo=UTC)),
]


class _SummaryModel(BaseModel):
    """Fields are added to summaries, never renamed: what is not known here is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class LatencySummary(_SummaryModel):
    """Milliseconds of successful requests."""

    p50: Milliseconds | None = None
    p95: Milliseconds | None = None


class ArmPhaseSummary(_SummaryModel):
    """One arm in one phase."""

    requests: Count
    failed: Count
    broken: Count | None  # None: not known
    broken_pipe_rate: Share | None
    ci95: Ends = None
    latency_ms: LatencySummary = LatencySummary()


def _redacted(env: Mapping[str, str]) -> Mapping[str, str]:
    """Versions of before have written secrets down."""
    return redacted_environments([env])[0]


class ArmSummary(_SummaryModel):
    """One arm."""

    env: Annotated[Mapping[str, str], AfterValidator(_redacted)] = Field(default_factory=dict)
    phases: Mapping[str, ArmPhaseSummary]


class ComparisonSummary(_SummaryModel):
    """An arm against the control in one phase."""

    arm: str
    phase: str
    metric: str
    difference: Difference | None
    ci95: Ends = None


class PhaseSummary(_SummaryModel):
    """What was done in a phase; empty for nothing."""

    fault: str = ""


class RunSummary(_SummaryModel):
    """What `summary.json` says of a run."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    scenario: str
    started: Moment
    duration_s: Annotated[float, Field(ge=0, le=1e8)]
    verdict: Literal["pass", "fail", "unknown"]
    finished: str = "done"
    sentence: str = ""
    target: str = ""
    control: str = ""
    users_per_arm: Count | None = None
    arrivals_per_s: Annotated[float, Field(ge=0, le=1e6)] | None = None
    arms: Mapping[str, ArmSummary]
    comparisons: tuple[ComparisonSummary, ...] = ()
    phases: Mapping[str, PhaseSummary] = Field(default_factory=dict)
    environment: Mapping[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """A summary and the file it was read from."""

    path: Path
    summary: RunSummary

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def page(self) -> Path | None:
        """The run's own report, where it lies beside the summary."""
        page = self.folder / "report.html"
        return page if page.is_file() else None

    @property
    def requests(self) -> int:
        """Of all arms in all phases."""
        cells = (cell for arm in self.summary.arms.values() for cell in arm.phases.values())
        return sum(cell.requests for cell in cells)

    @property
    def label(self) -> str:
        """Name it by its folder: "default/20260314T020000Z"."""
        return f"{self.folder.parent.name}/{self.folder.name}"


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that could not be read as a summary, and why."""

    path: Path
    why: str


def read_summaries(folder: Path) -> tuple[tuple[StoredSummary, ...], tuple[SkippedFile, ...]]:
    """Every run below a folder, the oldest first, and what was skipped. A run that lies there twice counts once."""
    read = [_read(path) for path in sorted(folder.rglob(FILE))]  # not through links such as `latest`
    found = sorted((each for each in read if isinstance(each, StoredSummary)), key=_sort_key)
    once = {(each.summary.scenario, each.summary.started): each for each in reversed(found)}
    return (
        tuple(sorted(once.values(), key=_sort_key)),
        tuple(each for each in read if isinstance(each, SkippedFile)),
    )


def newest_first(found: Sequence[StoredSummary]) -> list[StoredSummary]:
    """The order in which one looks for a run."""
    return sorted(found, key=lambda each: each.summary.started, reverse=True)


def _sort_key(found: StoredSummary) -> tuple[datetime, bool, str]:
    """Of two copies of a run, the one with its page comes first."""
    return found.summary.started, found.page is None, str(found.path)


def _read(path: Path) -> StoredSummary | SkippedFile:
    try:
        return StoredSummary(path, RunSummary.model_validate(read_object(path)))
    except UnfitFile as error:
        return SkippedFile(path, str(error))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        return SkippedFile(
            path, f"no summary that this version can read ({shorten(key, 100)}: {first['msg'].lower()})"
        )
