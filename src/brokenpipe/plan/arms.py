"""An arm: one line of `[arms]`, with the keys in lower case that are ours and the environment variables beside them.

plain      = {}
pre_ping   = { DB_POOL_PRE_PING = "true" }
other_pool = { target = "driver_pools", POOL = "asyncpg" }
old        = { with = ["asyncpg==0.31.0"] }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, ValidationInfo, model_serializer

from brokenpipe.faults.any_fault import RECORDED
from brokenpipe.plan.errors.messages import VARIABLE, did_you_mean
from brokenpipe.plan.packages import checked_package, distinct_packages
from brokenpipe.plan.phases import Name
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings
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

    packages: Annotated[
        tuple[Annotated[str, AfterValidator(checked_package)], ...],
        Field(strict=False, alias="with", max_length=50),
        AfterValidator(distinct_packages),
    ] = ()
    """Packages of this arm's own, by name and version, or folders with a Python project, relative to that of the
    project: they replace those that the interpreter has, for this arm."""

    python: Annotated[str, Field(min_length=1)] | None = None
    """Another interpreter for this arm, relative to the folder of the project. Without it, that of the target."""

    pgbouncer: PgBouncerSettings | None = None
    """A PgBouncer for this arm alone. Its keys are laid over those of `[pgbouncer]`, if there is one."""

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
        packages = f"with {', '.join(self.packages)}" if self.packages else None
        python = f"python {self.python}" if self.python else None
        target = f"target {self.target}" if self.target else None
        pgbouncer = f"pgbouncer {self.pgbouncer.changed}" if self.pgbouncer else None
        return tuple(filter(None, (target, packages, python, pgbouncer)))

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The same arm with other variables."""
        changed = self.model_copy()
        object.__setattr__(changed, "__pydantic_extra__", dict(variables))
        return changed

    @model_serializer(mode="wrap")
    def _dump_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As in the file: without the keys that are not given. A variable may be empty."""
        aliases = {name: field.alias or name for name, field in type(self).model_fields.items()}
        return {
            aliases.get(name, name): value
            for name, value in handler(self).items()
            if value or name in self.variables
        }
