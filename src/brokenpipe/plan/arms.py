"""An arm: one line of `[arms]`, with the keys in lower case that are ours and the environment variables beside them.

plain      = {}
pre_ping   = { DB_POOL_PRE_PING = "true" }
other_pool = { target = "driver_pools", POOL = "asyncpg" }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, ValidationInfo, model_serializer

from brokenpipe.faults.any_fault import RECORDED
from brokenpipe.plan.errors.messages import VARIABLE, did_you_mean
from brokenpipe.plan.phases import Name
from brokenpipe.plan.toml_model import StrictModel

Variable = Annotated[str, Field(pattern=VARIABLE)]
Environment = Mapping[Variable, str]

VARIABLE_OF_ARM = r"^([a-z_][a-z0-9_]*)?[A-Z][A-Za-z0-9_]*$"
"""A variable in an arm has a capital letter, so that a misspelt key is no variable."""


def _reject_unknown_key(name: str, info: ValidationInfo) -> str:
    """Raises ValueError for a name in lower case. Recorded plans of earlier versions may have such variables."""
    if re.match(VARIABLE_OF_ARM, name) or RECORDED in (info.context or {}):
        return name
    raise ValueError(
        f"unknown key; {did_you_mean(name, ArmSettings.keys())}. Variables of an arm have a capital letter; others go "
        "into [env]"
    )


class ArmSettings(StrictModel, extra="allow"):
    """One line of `[arms]`: what makes this arm differ from the others."""

    __pydantic_extra__: dict[Annotated[Variable, AfterValidator(_reject_unknown_key)], str] = Field(
        init=False
    )

    target: Name | None = None
    """Another service for this arm: a folder in targets/. Without it, the target of the scenario."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The keys that are ours, as written in TOML."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables in which this arm differs."""
        return self.__pydantic_extra__

    @property
    def described(self) -> tuple[str, ...]:
        """What it has besides variables, in words for a table."""
        return (f"target {self.target}",) if self.target else ()

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The same arm with other variables."""
        changed = self.model_copy()
        object.__setattr__(changed, "__pydantic_extra__", dict(variables))
        return changed

    @model_serializer(mode="wrap")
    def _dump_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As in the file: without the keys that are not given. A variable may be empty."""
        return {name: value for name, value in handler(self).items() if value or name in self.variables}
