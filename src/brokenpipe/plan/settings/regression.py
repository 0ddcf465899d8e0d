"""Limits of a regression against a baseline: the rise that is tolerated, and the rise that must not be missed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from brokenpipe.plan.toml_model import StrictModel


class RegressionSettings(StrictModel):
    """`[regression]`: by how much a run may be worse than its baseline. Only used with `--baseline`."""

    rate_tolerated: Annotated[float, Field(ge=0, le=10)] = 0.5
    """So much of the baseline's own rate a rate may rise: 0.5 for half as much again. Two runs of the same thing differ
    by that, because a slower machine answers fewer requests between two strikes. What never broke may not begin to."""

    rate_matters: Annotated[float, Field(gt=0, le=1)] = 0.05
    """A rise of this share of requests must not be missed: while one as large could hide in the interval, the check is
    unknown. Smaller asks for more episodes."""

    latency_tolerated: Annotated[float, Field(ge=0, le=10)] = 0.25
    """So much of the baseline's own latency it may rise: 0.25 for a quarter."""

    latency_matters: Annotated[float, Field(gt=0, le=100)] = 1.0
    """A rise by this share of the baseline's latency must not be missed: 1.0 for twice as slow."""
