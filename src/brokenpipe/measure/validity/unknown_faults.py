"""Warnings about faults of a run that are not installed where its report is made: what they caused cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brokenpipe.faults import registry
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.run_metadata import fault_sources
from brokenpipe.plan.scenario import Scenario


def unknown_fault_warnings(folder: Path, scenario: Scenario) -> Iterator[ValidityWarning]:
    """One for each phase with such a fault."""
    for phase in scenario.phases:
        if phase.fault is None or phase.fault.is_known:
            continue
        text = (
            f"{phase.fault.name} {_reason(folder, phase.fault.name)}: which failures it caused cannot be told"
        )
        yield ValidityWarning.of(Code.FAULT_NOT_INSTALLED, text, phase=phase.name)


def _reason(folder: Path, name: str) -> str:
    """Where the fault came from, and why it is not there."""
    source = fault_sources(folder).get(name)
    if source is None:
        return "is no fault of this version, and where it came from is not recorded"
    came = f"came from {source.distribution} {source.version}"
    broken = next((each.message for each in registry().problems if each.fault == name), "")
    return (
        f"{came}, which cannot be used here ({broken})" if broken else f"{came}, which is not installed here"
    )
