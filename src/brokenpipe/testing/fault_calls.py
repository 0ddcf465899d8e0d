"""Faults as a test asks for them: a name and keyword arguments, held against the same models as those of a scenario."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from brokenpipe.errors import UsageError
from brokenpipe.faults import Fault, fault_kind, fault_kinds, registry
from brokenpipe.plan.errors.messages import did_you_mean, problem_of

KILL = "kill"
"""What a test calls the fault that ends every open connection, in short."""
_SHORT_NAMES = {KILL: "socket_kill"}


def call_names() -> tuple[str, ...]:
    """Every name under which a wire has a fault."""
    return (*_SHORT_NAMES, *(kind.fault_name() for kind in fault_kinds()))


def kind_of_call(name: str) -> type[Fault]:
    """The fault of that name. Raises AttributeError, and PluginError if the plug-in that has it cannot be used."""
    if kind := fault_kind(_SHORT_NAMES.get(name, name)):
        return kind
    for problem in registry().problems:
        if problem.fault == name:
            raise problem
    raise AttributeError(f"a wire has no fault {name!r}: {did_you_mean(name, call_names())}")


def parse_call(name: str, parameters: Mapping[str, object]) -> Fault:
    """The fault with these parameters. Raises UsageError, which names each that is wrong and what is allowed."""
    kind = kind_of_call(name)
    try:
        return kind.model_validate(dict(parameters))
    except ValidationError as error:
        problems = "; ".join(str(problem_of(kind, details)) for details in error.errors(include_url=False))
        raise UsageError(f"wire.{call_text(name, parameters)}: {problems}") from None


def call_text(name: str, parameters: Mapping[str, object]) -> str:
    """The call as it stands in a test."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in parameters.items())})"
