"""The JSON Schema that editors use, against the parser that decides."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.json_schema import misfits
from tests.unit.shell import brokenpipe

PROJECT = Path(__file__).parents[2]
COMMITTED = PROJECT / "scenarios" / "scenario.schema.json"
TARGET_SCHEMA = PROJECT / "targets" / "target.schema.json"
BROKEN = Path(__file__).parent / "scenarios" / "broken"

# What only the parser can know: files that look right, and name what is not there or do not add up.
BEYOND_A_SCHEMA = {
    "bound_beyond_everything",  # a sentence about a run, not about the form of a number
    "dsn_in_env",
    "equals_half",
    "nul_in_a_value",
    "backend_kill_in_blocks", "commit_cut_under_tls", "pgbouncer_under_tls",
    "refusal_in_strikes", "restart_in_a_short_pause", "restarts_too_close",
    "session_limit_longer_than_a_block", "session_limit_longer_than_a_pause",
    "setting_with_a_value_too_many", "setting_with_the_wrong_value", "setting_without_value",
    "bound_nan", "control_against_itself", "count_negative", "equals_on_a_rate", "every_arm_against_control",
    "fault_on_unknown_arm",
    "idle_limit_longer_than_a_block",
    "jitter_above_latency", "latency_under_load", "locustfile_missing", "quiet_just_too_short", "quiet_too_short",
    "rate_in_percent",
    "request_on_a_count", "same_phase_name_twice", "seconds_on_a_kill", "several_that_do_not_fit",
    "strikes_of_latency", "strikes_of_nothing", "unknown_arm", "unknown_control", "unknown_phase",
    "unknown_target", "arm_target_unknown", "arm_python_not_there",
    "arm_pgbouncer_under_tls", "arm_pgbouncer_without_a_mode",
    "arm_with_a_folder_of_no_project", "arm_with_a_package_twice", "arm_with_an_address", "arm_with_no_folder",
    "arm_with_no_requirement",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(COMMITTED.read_text(encoding="utf-8"))


def test_the_committed_schema_is_current() -> None:
    """scenarios/scenario.schema.json is what `make schema` writes; run it after a change of the models."""
    assert COMMITTED.read_text(encoding="utf-8") == brokenpipe("schema").out
    assert TARGET_SCHEMA.read_text(encoding="utf-8") == brokenpipe("schema", "target").out


@pytest.mark.parametrize("committed", [COMMITTED, TARGET_SCHEMA], ids=["scenario", "target"])
def test_every_key_is_explained(committed: Path) -> None:
    """An editor shows a sentence for each key. Those of faults stand in plan/schema.py, others in the models."""
    schema = json.loads(committed.read_text(encoding="utf-8"))

    def undocumented(node: Any, at: str) -> Iterator[str]:
        for key, value in node.get("properties", {}).items():
            target = schema["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else {}
            if not (value.get("description") or target.get("description")):
                yield f"{at}.{key}"

    nodes = {"file": schema, **schema["$defs"]}
    assert not [key for name, node in nodes.items() for key in undocumented(node, name)]


@pytest.mark.parametrize("path", sorted((PROJECT / "scenarios").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_scenarios_fit(path: Path, schema: dict[str, Any]) -> None:
    """No editor underlines anything in a scenario that we ship, and each names the schema in its first line."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#:schema ./scenario.schema.json\n")
    assert not list(misfits(tomllib.loads(text), schema, schema))


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "targets").glob("*/target.toml")), ids=lambda path: path.parent.name
)
def test_shipped_targets_fit(path: Path) -> None:
    """Nor in a target.toml."""
    schema = json.loads(TARGET_SCHEMA.read_text(encoding="utf-8"))
    assert not list(misfits(tomllib.loads(path.read_text(encoding="utf-8")), schema, schema))


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.toml")), ids=lambda path: path.stem)
def test_an_editor_sees_what_a_schema_can_say(path: Path, schema: dict[str, Any]) -> None:
    """A mistake of form is underlined while one types; only what needs the rest of the file is left to the run."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError:
        return  # the editor's own TOML parser says so
    assert bool(list(misfits(data, schema, schema))) is (path.stem not in BEYOND_A_SCHEMA)
