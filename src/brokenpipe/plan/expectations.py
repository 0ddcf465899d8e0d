"""An expectation: one metric of one arm in one phase, and the bound it must keep."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from brokenpipe.plan.phases import Name
from brokenpipe.plan.toml_model import StrictModel

EVERY_ARM = "*"


class Metric(StrEnum):
    """The metrics that an expectation can name.

    Counts and times are facts about the run. Rates and latencies are estimates with an interval. The `added_` ones are
    this arm minus the control, paired by episode. `wrong_results`: requests that the locustfile declares failed in
    these words. `server_connections`: the most that Postgres had of an arm at a look each second. `slots_lost`:
    connections that requests of the phase, or before it, took from the pool and the service never gave back. `lost`,
    `doubled` and `unacknowledged` count writes, and need a target with a ledger. `recovery_s`: the longest of the
    phase, from a strike to the first success after which the arm went on succeeding; `never_recovered` counts the
    strikes after which it did not. `unavailable_s`: how long requests waited and none was answered. `longest_wait_ms`:
    of any request, whatever became of it. `broken_per_episode` and `failed_per_episode` are of a strike, a burst or a
    block.
    """

    BROKEN = "broken"
    STALE = "stale"
    IN_USE = "in_use"
    FAILED = "failed"
    REFUSED = "refused"
    SWALLOWED = "swallowed"
    WRONG_RESULTS = "wrong_results"
    SERVER_CONNECTIONS = "server_connections"
    SLOTS_LOST = "slots_lost"
    LOST = "lost"
    DOUBLED = "doubled"
    UNACKNOWLEDGED = "unacknowledged"
    NEVER_RECOVERED = "never_recovered"
    RECOVERY_S = "recovery_s"
    UNAVAILABLE_S = "unavailable_s"
    LONGEST_WAIT_MS = "longest_wait_ms"
    BROKEN_PIPE_RATE = "broken_pipe_rate"
    FAILURE_RATE = "failure_rate"
    P50_MS = "p50_ms"
    P95_MS = "p95_ms"
    ADDED_P50_MS = "added_p50_ms"
    ADDED_BROKEN_PIPE_RATE = "added_broken_pipe_rate"
    ADDED_FAILURE_RATE = "added_failure_rate"
    BROKEN_PER_EPISODE = "broken_per_episode"
    FAILED_PER_EPISODE = "failed_per_episode"
    REQUESTS_PER_S = "requests_per_s"

    @property
    def is_count(self) -> bool:
        """A fact about the run, which needs no interval."""
        return self in _COUNT_METRICS or self.needs_ledger

    @property
    def is_per_episode(self) -> bool:
        """A mean over episodes of how many there were, in each or in each of its seconds."""
        return self in _PER_EPISODE_METRICS

    @property
    def is_time(self) -> bool:
        """How long something took in this run: a fact as well."""
        return self in _TIME_METRICS

    @property
    def is_fact(self) -> bool:
        """Whether it is decided by its value alone."""
        return self.is_count or self.is_time

    @property
    def needs_ledger(self) -> bool:
        """A count of writes, known only from what the database holds afterwards."""
        return self in _LEDGER_METRICS

    @property
    def is_latency(self) -> bool:
        """In milliseconds, of successful requests; may be narrowed to one request name."""
        return self.value.endswith("_ms") and not self.is_time

    @property
    def against_control(self) -> bool:
        """A difference from the control."""
        return self.value.startswith("added_")

    @property
    def is_of_failed(self) -> bool:
        """A share of all failed requests, broken or not."""
        return self in {Metric.FAILURE_RATE, Metric.ADDED_FAILURE_RATE}


_COUNT_METRICS = frozenset(
    {
        Metric.BROKEN,
        Metric.STALE,
        Metric.IN_USE,
        Metric.FAILED,
        Metric.REFUSED,
        Metric.SWALLOWED,
        Metric.WRONG_RESULTS,
        Metric.SERVER_CONNECTIONS,
        Metric.SLOTS_LOST,
        Metric.NEVER_RECOVERED,
    }
)
_TIME_METRICS = frozenset({Metric.RECOVERY_S, Metric.UNAVAILABLE_S, Metric.LONGEST_WAIT_MS})
_PER_EPISODE_METRICS = frozenset(
    {Metric.BROKEN_PER_EPISODE, Metric.FAILED_PER_EPISODE, Metric.REQUESTS_PER_S}
)
_LEDGER_METRICS = frozenset({Metric.LOST, Metric.DOUBLED, Metric.UNACKNOWLEDGED})
MAX_BOUND = 1e9  # far above any count, rate or time of a run: a larger bound would decide nothing
BOUNDS = ("above", "below", "at_least", "at_most", "equals")


class Expectation(StrictModel):
    """One `[[expect]]` of a scenario. Exactly one bound. Rates are shares 0..1."""

    arm: str
    """An arm, or * for each of them."""

    phase: Name
    """A phase, by its name."""

    metric: Annotated[Metric, Field(strict=False)]
    """What is expected of. Counts and times are facts; rates (0 to 1) and latencies are decided on their interval."""

    request: str | None = None
    """For a latency: of this request only, by its name in the locustfile, such as "POST /chat"."""

    above: float | None = None
    """The whole interval must be above this."""

    below: float | None = None
    """The whole interval must be below this."""

    at_least: float | None = None
    """The whole interval must be this or more."""

    at_most: float | None = None
    """The whole interval must be this or less."""

    equals: float | None = None
    """For a count: exactly this."""

    @model_validator(mode="after")
    def _check_one_bound(self) -> Self:
        given = [name for name in BOUNDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "no bound"
            raise ValueError(f"found {found}; give exactly one of {', '.join(BOUNDS)}")
        if self.equals is not None and not self.metric.is_count:
            raise ValueError(f"equals is for counts; {self.metric} is an estimate: use above or below")
        if self.request is not None and not self.metric.is_latency:
            raise ValueError(f"request narrows a latency; {self.metric} is not one")
        return self

    @model_validator(mode="after")
    def _check_bound_reachable(self) -> Self:
        """Reject a bound that every value meets, such as a rate below 5 for 5 %."""
        name, bound = self.bound
        most = math.inf if self.metric.is_fact or self.metric.is_latency or self.metric.is_per_episode else 1
        least = -most if self.metric.against_control else 0
        if not least <= bound <= most:
            allowed = f"at least {least}" if most == math.inf else f"a share from {least} to 1, 0.05 for 5 %"
            raise ValueError(f"{name} = {bound:g} cannot be met: {self.metric} is {allowed}")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """Its name and value, such as ("above", 0.0)."""
        for name in BOUNDS:
            if (value := getattr(self, name)) is not None:
                return name, float(value)
        raise AssertionError("an expectation has a bound")
