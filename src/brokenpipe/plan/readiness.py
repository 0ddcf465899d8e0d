"""`ready` of a target.toml: when a service that was started is up.

ready = "/healthz"                            it answers 200 to this path
ready = { tcp = true }                        it accepts connections on its port
ready = { log = "Application startup complete" }    a line of its log matches this regular expression
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from brokenpipe.plan.errors.messages import PATH
from brokenpipe.plan.toml_model import StrictModel


def _checked_pattern(text: str) -> str:
    """Raises ValueError for a text that is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from error
    return text


class Readiness(StrictModel):
    """`ready` as a table, for a service without a path that tells."""

    tcp: bool = False
    """Ready once it accepts connections on its port."""

    log: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_checked_pattern)] | None = None
    """Ready once a line of its log matches this regular expression."""

    @property
    def words(self) -> str:
        """What it says, for people."""
        return "its port accepts connections" if self.tcp else f"a line of its log matches {self.log!r}"

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.tcp == (self.log is not None):
            raise ValueError('must have one key: { tcp = true }, or { log = "a regular expression" }')
        return self


def _form_of(value: object) -> str:
    """The form that is meant: a mistake is told about that one alone."""
    return "[table]" if isinstance(value, dict | Readiness) else "[path]"


Ready = Annotated[
    Annotated[str, Field(pattern=PATH), Tag("[path]")] | Annotated[Readiness, Tag("[table]")],
    Discriminator(_form_of),
]
