"""Metadata of a run: its plan, its start time, how it ended, and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from brokenpipe.errors import ReportError
from brokenpipe.faults.any_fault import RECORDED
from brokenpipe.files import UnfitFile, read_bytes
from brokenpipe.history.reader import REMEDY, History, document
from brokenpipe.history.records import RunEnding
from brokenpipe.json_file import read_object
from brokenpipe.plan.errors.location import key_of
from brokenpipe.plan.plan import STACK_NAMES, Plan
from brokenpipe.plan.secrets.redacted_plan import redacted_plan
from brokenpipe.plan.toml_model import LIMITS


def plan_of(history: History) -> Plan:
    """What was run. Raises ReportError if this version cannot read it."""
    return recorded_plan(history.folder)


def recorded_plan(folder: Path) -> Plan:
    """What was run in a report folder; its history is not read. Raises ReportError if this version cannot read it.

    Without secrets, also where a version of before has written them down.
    """
    strikes = frozenset(name for name, source in fault_sources(folder).items() if source.momentary)
    try:
        plan = Plan.model_validate(document(folder, "plan.json"), strict=False, context={RECORDED: strikes})
        return redacted_plan(plan)
    except ValidationError as error:
        raise ReportError(
            f"{folder / 'plan.json'}: this version cannot read it ({error.error_count()} problems)",
            remedy="Use the version of brokenpipe that recorded it; environment.json names it.",
            details=_validation_details(error),
        ) from error


class FaultSource(BaseModel):
    """The distribution that a fault of a run came from, if it was not brokenpipe itself."""

    distribution: str
    version: str
    momentary: bool


def fault_sources(folder: Path) -> dict[str, FaultSource]:
    """The faults of other distributions that were installed at the run, as far as that is recorded."""
    try:
        recorded = read_object(folder / "environment.json").get("faults")
        return _FAULT_SOURCES.validate_python(recorded or {})
    except (UnfitFile, ValidationError):
        return {}


_FAULT_SOURCES = TypeAdapter(dict[str, FaultSource])

_MAX_DETAILS = 10  # mistakes in one file


class ArmPackages(BaseModel):
    """What was installed for the target of an arm: the interpreter's version, and packages with theirs."""

    python: str
    packages: Mapping[str, str]


class _Environment(BaseModel):
    """The keys of `environment.json` that are read, with their types. Other keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    command: str = ""
    scenario_file: str | None = None
    cores: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    memory_bytes: Annotated[int, Field(ge=0, le=2**60)] | None = None
    machine: str = ""
    system: str = ""
    versions: Mapping[str, str] = Field(default_factory=dict)
    arms: Mapping[str, ArmPackages] = Field(default_factory=dict)
    code: Mapping[str, Mapping[str, object] | None] = Field(
        default_factory=dict
    )  # None: git knows nothing of it


def recorded_environment(folder: Path) -> dict[str, Any]:
    """The environment of a run: machine, versions, command. Raises ReportError if no run writes it like that."""
    found = document(folder, "environment.json")
    try:
        _Environment.model_validate(found)
    except ValidationError as error:
        raise ReportError(
            f"{folder / 'environment.json'}: is not what a run writes down",
            remedy=REMEDY,
            details=_validation_details(error),
        ) from error
    return found


def recorded_packages(environment: Mapping[str, Any]) -> dict[str, ArmPackages]:
    """What was installed for the target of each arm; empty where all had what the harness had, or it is not known."""
    return dict(_Environment.model_validate(dict(environment)).arms)


def _validation_details(error: ValidationError) -> tuple[str, ...]:
    """The invalid keys and what each must be; the first few."""
    found = error.errors(include_url=False, include_input=False)
    told = [f"{key_of(each['loc'])}: {each['msg'].replace('Input should be', 'must be')}" for each in found]
    return (
        *told[:_MAX_DETAILS],
        *([f"… and {len(told) - _MAX_DETAILS:,} more"] if len(told) > _MAX_DETAILS else []),
    )


def scenario_text(folder: Path) -> str:
    """The scenario file as it was when the run began. Raises ReportError if it cannot be read."""
    path = folder / "scenario.toml"
    try:
        return read_bytes(path, LIMITS.size_bytes).decode("utf-8-sig")
    except (UnfitFile, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: {error}", remedy=REMEDY) from error


def start_time(history: History) -> str:
    """When the run began: ISO 8601, UTC."""
    (wall_ns,) = history.one("SELECT coalesce(min(wall_ns), 0) FROM clocks WHERE writer = 'experiment'")
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def end_reason(history: History) -> str:
    """How the run ended: "done", "interrupted", "terminated", "failed", "stopped", "hung" or "cut off".

    The record of an earlier part does not count: the last part may have been cut off.
    """
    rows = history.rows(
        "SELECT how FROM finishes WHERE t > (SELECT coalesce(max(t), 0) FROM resumptions) ORDER BY t DESC"
    )
    how = str(rows[0][0]) if rows else ""
    return how if how in get_args(RunEnding) else "cut off"


def code_revisions(environment: Mapping[str, Any]) -> dict[str, str]:
    """The revision of each code that was run, "0c54fae2f5f8 with changes 91ab03d": of the service, its users, and ours.

    What git did not know is not there.
    """
    code = environment.get("code")
    if not isinstance(code, Mapping):
        return {}
    return {str(what): _revision_text(found) for what, found in code.items() if isinstance(found, Mapping)}


def _revision_text(found: Mapping[str, Any]) -> str:
    revision = str(found.get("revision"))[:12]
    return f"{revision} with changes {str(found['changes'])[:7]}" if found.get("changes") else revision


def environment_rows(document: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    """Rows for the report: versions, server settings, code, machine, and where the stack ran."""
    scenario = plan.scenario
    shown = {str(name): str(version) for name, version in document.get("versions", {}).items()}
    if scenario.postgres.chosen:
        shown["[postgres]"] = scenario.postgres.chosen
    if scenario.pgbouncer:
        shown["[pgbouncer]"] = scenario.pgbouncer.chosen
    own = {name: arm.pgbouncer for name, arm in scenario.arms.items() if arm.pgbouncer}
    shown |= {f"pgbouncer of {name}": settings.chosen for name, settings in own.items()}
    shown |= {f"code of {what}": revision for what, revision in code_revisions(document).items()}
    for name in ("system", "machine", "cores"):
        if name in document:
            shown[name] = str(document[name])
    if document.get("memory_bytes") is not None:
        shown["memory"] = f"{document['memory_bytes'] / 1e9:.1f} GB"
    return shown | {"stack": f"in {STACK_NAMES[plan.stack]}"}
