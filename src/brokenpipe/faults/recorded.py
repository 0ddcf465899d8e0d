"""Faults as a history holds them: a name, and the parameters as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from pydantic import ValidationError

from brokenpipe.faults import Fault, fault_kind


def recorded_fault(name: str, parameters: object) -> Fault | None:
    """The fault; None if its parameters were not recorded, or no fault of that name is installed that takes them."""
    kind = fault_kind(name)
    if kind is None or not isinstance(parameters, Mapping):
        return None
    try:
        return kind.model_validate({**parameters, "name": name}, strict=False)
    except ValidationError:
        return None


@lru_cache(maxsize=256)
def parse_fault(name: str, parameters: str | None) -> Fault | None:
    """The same, of parameters as JSON."""
    return recorded_fault(name, parse_parameters(parameters))


def parse_parameters(text: str | None) -> Mapping[str, object] | None:
    """Parameters as they stand in a history; None: they are not recorded, or no parameters of a fault."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def describe_fault(name: str, parameters: object) -> str:
    """The fault in a few words. Of one that is not known, its name and whatever parameters it has."""
    fault = recorded_fault(name, parameters)
    if fault is not None:
        return str(fault)
    given = parameters.items() if isinstance(parameters, Mapping) else ()
    return " · ".join([name, *([", ".join(f"{key} {value}" for key, value in given)] if given else [])])
