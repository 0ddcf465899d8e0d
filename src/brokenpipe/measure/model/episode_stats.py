"""Statistics of each episode of one arm in one phase, for comparisons with the episodes of another run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from brokenpipe.plan.toml_model import StrictModel

Counts = Annotated[tuple[int, ...], Field(strict=False)]
Milliseconds = Annotated[tuple[float | None, ...], Field(strict=False)]


class EpisodeStats(StrictModel):
    """One entry for each episode that counts, in order."""

    numbers: Counts
    requests: Counts
    failed: Counts
    broken: Counts | None
    """None: they could not be counted."""

    p50_ms: Milliseconds
    """Of its successful requests. None: it had none."""

    p95_ms: Milliseconds
