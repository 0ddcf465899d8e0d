"""The JSON Schema of scenario files, for editors that complete and check while one types.

It is made from the models that parse the files, so the two cannot disagree on a key. Checks that only the parser can
make, such as whether an arm exists, are not in it.
"""

from __future__ import annotations

import re
from typing import Any

from brokenpipe.plan.expectations import BOUNDS
from brokenpipe.plan.phases import KEYS_OF_PATTERNS
from brokenpipe.plan.scenario import Scenario

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# The parameters of faults, whose models have no descriptions of their own.
_FAULT_KEYS = {
    "name": "Which fault.",
    "when": "at_once: as soon as the limit is reached; next_packet: forgotten then, ended by the next byte.",
    "how": "How a connection ends: reset (RST, as from a firewall) or fin (as from a closed socket).",
    "lost": "reply: the database has committed, the client gets no answer. commit: the database gets no COMMIT.",
    "ms": "Milliseconds added in one direction, to each round trip once.",
    "jitter_ms": "By how many milliseconds the delay varies, up and down.",
    "direction": "downstream: towards the service. upstream: towards Postgres.",
    "after_ms": "Milliseconds: of the client's silence, or what a setting of the server's is set to.",
    "mode": "How the server stops: fast (an administrator) or immediate (a crash).",
    "away_ms": "How many milliseconds longer than need be the server stays away.",
    "setting": "Which of the server's limits: the timeouts take after_ms, connection_limit takes connections.",
    "connections": "How many sessions the service may have in its database.",
}


def scenario_schema() -> Schema:
    """The schema as plain data, ready for JSON."""
    schema = _for_toml(Scenario.model_json_schema())
    definitions = schema["$defs"]
    for fault in (
        each for each in definitions.values() if "const" in each.get("properties", {}).get("name", {})
    ):
        _complete_fault(fault)
    definitions["Phase"]["oneOf"] = [{"required": sorted(keys)} for keys in KEYS_OF_PATTERNS.values()]
    definitions["Expectation"]["oneOf"] = [{"required": [bound]} for bound in BOUNDS]
    return {"$schema": DIALECT, **schema, "title": "A scenario of brokenpipe"}


def _complete_fault(fault: Schema) -> None:
    """Require the name of a fault, although the model has it as a default, and describe its keys."""
    fault["required"] = ["name", *fault.get("required", ())]
    del fault["properties"]["name"]["default"]
    for key, value in fault["properties"].items():
        value["description"] = _FAULT_KEYS.get(key, "")


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
