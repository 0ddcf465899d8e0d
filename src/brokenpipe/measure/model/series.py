"""Time series on the axis that all charts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time on the shared axis, for one arm; None where there is no value."""

    at_s: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Timelines:
    """One series for each arm in each chart."""

    failed_share: Mapping[str, Series]  # of requests that started in the bin
    p95_ms: Mapping[str, Series]
    requests_per_s: Mapping[str, Series]
    pool_out: Mapping[str, Series]  # connections checked out; empty without a witness
    pool_idle: Mapping[str, Series]
    postgres_connections: Mapping[str, Series]
