"""The baseline of a run: the part of an earlier experiment that is kept for comparisons with later ones.

Every report has it as `episodes.json`, so that it can be a baseline even without its history. A copy of the baseline
of a run is `baseline.json` in its own folder, so that it can be reported again without the other folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from brokenpipe.errors import ReportError
from brokenpipe.files import UnfitFile
from brokenpipe.history.validity_codes import Code
from brokenpipe.json_file import read_object
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.episode_stats import EpisodeStats
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.regression.comparability import NotComparable
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.secrets.redacted_plan import redacted_plan
from brokenpipe.plan.toml_model import StrictModel

BASELINE_FILE = "baseline.json"
EPISODES_FILE = "episodes.json"

_BUSY = frozenset({Code.MACHINE_BUSY, Code.MACHINE_SATURATED, Code.MACHINE_STOLEN, Code.MACHINE_THROTTLED})
# Warnings about the expectations of a run do not make it a doubtful baseline.
_OF_THE_GATE = frozenset({Code.NOTHING_EXPECTED, Code.BASELINE_IN_DOUBT})


class BaselineWarning(StrictModel):
    """Why a part of the baseline is not known: all of it, or a phase, an arm, or both."""

    text: str
    phase: str | None
    arm: str | None


class Baseline(StrictModel):
    """The part of an experiment that others are compared with."""

    form: Literal[1] = 1
    name: str
    """Its folder below reports/, such as default/20260314T092653Z."""

    started: str
    plan: Plan
    machine: str
    """What its latencies were measured on."""

    busy: bool
    """Whether that machine was so busy that latencies include the wait for a core."""

    doubts: Annotated[tuple[BaselineWarning, ...], Field(strict=False)]
    arms: Mapping[str, Mapping[str, EpisodeStats]]
    """By arm and phase."""

    @property
    def episode_stats(self) -> dict[ArmPhase, EpisodeStats]:
        return {(arm, phase): found for arm, phases in self.arms.items() for phase, found in phases.items()}


def baseline_of(folder: Path, findings: Findings, plan: Plan) -> Baseline:
    """Make a baseline of a run. Raises NotComparable if it did not reach its end."""
    if findings.finished != "done":
        raise NotComparable(
            f"{folder}: cannot be a baseline: that experiment was {findings.finished} before its end",
            remedy="Give the folder of one that reached its end.",
        )
    arms: dict[str, dict[str, EpisodeStats]] = {}
    for (arm, phase), found in findings.episode_stats.items():
        arms.setdefault(arm, {})[phase] = found
    return Baseline(
        name=f"{plan.stem}/{folder.resolve().name}",
        started=findings.started,
        plan=plan,
        machine=findings.machine,
        busy=is_busy(findings.warnings),
        doubts=tuple(
            BaselineWarning(text=each.text, phase=each.phase, arm=each.arm)
            for each in findings.warnings
            if each.unknown and each.code not in _OF_THE_GATE
        ),
        arms=arms,
    )


def is_busy(warnings: Iterable[ValidityWarning]) -> bool:
    """Whether the machine was so busy, or so much of it stolen, that latencies measure the machine."""
    return any(warning.code in _BUSY for warning in warnings)


def machine_of(environment: Mapping[str, Any]) -> str:
    """The machine in words: what latencies depend on, as far as `environment.json` has it."""
    memory = f"{(environment.get('memory_bytes') or 0) / 1e9:.0f} GB"
    return f"{environment.get('cores', '?')} cores, {environment.get('machine', '?')}, {memory}"


def read_baseline(path: Path) -> Baseline | None:
    """Read a kept baseline; None if there is none. Raises ReportError if this version cannot read it."""
    if not os.path.lexists(path):
        return None
    try:
        found = Baseline.model_validate(read_object(path), strict=False)
    except (UnfitFile, ValidationError) as error:
        why = f": {error}" if isinstance(error, UnfitFile) else f" ({error.error_count()} problems)"
        raise ReportError(
            f"{path}: this version cannot read it{why}",
            remedy="Make it again with the version at hand: `brokenpipe report`, with --baseline if it had one.",
        ) from error
    return found.model_copy(update={"plan": redacted_plan(found.plan)})
