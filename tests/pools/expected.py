"""What a provoked failure must be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokenpipe.error_class import ErrorClass as E
from brokenpipe.measure.failures.request_stage import RequestStage as P

from .provocation_setup import DRIVERS


@dataclass(frozen=True)
class Expected:
    """What a failure is, in which phase of the request, and what each driver leaves of it."""

    truth: E
    phase: P
    by_driver: Mapping[str, E | str]  # a text: why this driver never fails so
    last: bool = False  # the class of the request's last error, not of its first
    says: Mapping[str, str] = field(default_factory=dict)  # driver: words that stand in the chain

    def cells(self) -> dict[str, E | str]:
        return dict.fromkeys(DRIVERS, self.truth) | dict(self.by_driver)


def as_(
    truth: E, phase: P, *, last: bool = False, says: Mapping[str, str] | None = None, **by_driver: E | str
) -> Expected:
    """What is told by every driver, except where it says otherwise."""
    return Expected(truth, phase, by_driver, last, says or {})


EOF_ALL: dict[str, Any] = dict.fromkeys(DRIVERS, E.EOF)
LOST: dict[str, Any] = {
    "asyncpg": E.EOF,
    "psycopg2": E.EOF,
}  # psycopg alone keeps the server's last words
MUTE: dict[str, Any] = {"psycopg2": E.EOF}
