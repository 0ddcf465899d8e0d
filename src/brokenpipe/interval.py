"""Between which two values a figure lies, most likely."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval; the low end may be closed at 0 and the high end be an exact bound.

    Of a run that added episodes until its expectations were decided, it holds 95 % over all its looks together.
    """

    low: float
    high: float
