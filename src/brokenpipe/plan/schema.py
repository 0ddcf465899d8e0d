"""The JSON Schemas of scenario files and of target.toml, for editors that complete and check while one types.

Each is made from the models that parse the files, so the two cannot disagree on a key. Checks that only the parser can
make, such as whether an arm exists, are not in it.
"""

from __future__ import annotations

import re
from typing import Any

from brokenpipe.plan.arms import VARIABLE_OF_ARM
from brokenpipe.plan.expectations import BOUNDS
from brokenpipe.plan.key_descriptions import DescribedKeys
from brokenpipe.plan.phases import KEYS_OF_PATTERNS
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.target import Target

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema() -> Schema:
    """The schema as plain data, ready for JSON."""
    schema = _for_toml(Scenario.model_json_schema(schema_generator=DescribedKeys))
    definitions = schema["$defs"]
    for fault in (
        each for each in definitions.values() if "const" in each.get("properties", {}).get("name", {})
    ):
        _complete_fault(fault)
    _complete_arm(definitions)
    definitions["Phase"]["oneOf"] = [{"required": sorted(keys)} for keys in KEYS_OF_PATTERNS.values()]
    definitions["Expectation"]["oneOf"] = [{"required": [bound]} for bound in BOUNDS]
    return {"$schema": DIALECT, **schema, "title": "A scenario of brokenpipe"}


def target_schema() -> Schema:
    """The schema of target.toml."""
    schema = _for_toml(Target.model_json_schema(schema_generator=DescribedKeys))
    return {"$schema": DIALECT, **schema, "title": "A target of brokenpipe"}


def _complete_fault(fault: Schema) -> None:
    """Require the name of a fault, although the model has it as a default."""
    fault["required"] = ["name", *fault.get("required", ())]
    del fault["properties"]["name"]["default"]
    fault["properties"]["name"]["description"] = "Which fault."


def _complete_arm(definitions: Schema) -> None:
    """Say which names are variables: all others that are not ours are misspelt. No key of its PgBouncer is required."""
    arm = definitions["ArmSettings"]
    over = {key: value for key, value in definitions["PgBouncerSettings"].items() if key != "required"}
    arm["properties"]["pgbouncer"] = {**over, "description": arm["properties"]["pgbouncer"]["description"]}
    arm["patternProperties"] = {VARIABLE_OF_ARM: arm["additionalProperties"]}
    arm["additionalProperties"] = False


def _for_toml(node: Any) -> Any:
    """Adapt a schema to editors of TOML: descriptions on one line, and no null."""
    if isinstance(node, list):
        return [_for_toml(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _for_toml(value) for key, value in node.items() if key != "discriminator"}
    for value in plain.get("properties", {}).values():
        value.pop("title", None)  # it only repeats the key
    if isinstance(plain.get("description"), str):
        plain["description"] = re.sub(r"(?<!\n)\n(?!\n)", " ", plain["description"])
    if "patternProperties" in plain:
        plain["additionalProperties"] = False
    choices = [choice for choice in plain.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del plain["anyOf"], plain["default"]
        plain = {**choices[0], **plain}
    return plain
