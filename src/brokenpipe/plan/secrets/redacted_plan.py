"""Removes secrets from a plan, for `plan.json` and reports, and from the text of a scenario file, for its copy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from brokenpipe.plan.plan import Plan
from brokenpipe.plan.target import Target
from brokenpipe.redaction import REDACTED, is_secret, is_secret_name, redacted_environments, redacted_text

_TEXTS = (
    r'"""(?:[^\\]|\\.)*?"""',
    r"'''.*?'''",
    r'"(?:[^"\\\n]|\\.)*"',
    r"'[^'\n]*'",
)
_KEY_AND_TEXT = re.compile(
    r"""(?<![A-Za-z0-9_-])((?P<quote>["']?)(?P<name>[A-Za-z_][A-Za-z0-9_-]*)(?P=quote)[ \t]*=[ \t]*)"""
    rf"(?P<text>{'|'.join(_TEXTS)})",
    re.DOTALL,
)
_NOTE = "# A copy. Secrets are taken out of it: {}.\n\n"
_NO_COPY = """# The scenario file is not copied: {} could not be cut out of its text.
# plan.json says what was run.
"""


def redacted_plan(plan: Plan) -> Plan:
    """The same plan without secrets. Different secrets of one variable stay different."""
    scenario, others = plan.scenario, plan.other_targets
    arms = scenario.variables_by_arm()
    shared, of_target, *rest = redacted_environments(
        [scenario.env, plan.target.env, *arms.values(), *(each.env for each in others.values())]
    )
    return plan.model_copy(
        update={
            "scenario": scenario.with_variables(shared, dict(zip(arms, rest, strict=False))),
            "target": _redacted_target(plan.target, of_target),
            "other_targets": {
                name: _redacted_target(target, env)
                for (name, target), env in zip(others.items(), rest[len(arms) :], strict=True)
            },
        }
    )


def _redacted_target(target: Target, env: Mapping[str, str]) -> Target:
    return target.model_copy(
        update={
            "env": env,
            "dsn": target.dsn and redacted_text(target.dsn),
            "command": tuple(map(redacted_text, target.command)),
            "prepare": tuple(tuple(map(redacted_text, command)) for command in target.prepare),
        }
    )


def redacted_toml(text: str) -> str:
    """The text of a file without its secrets, and with a note where there were any. The rest stays, comments too."""
    secrets = list(_secrets_in(_data(text)))
    names = ", ".join(dict.fromkeys(name for name, _ in secrets))
    cut = redacted_text(_KEY_AND_TEXT.sub(_without_secret, text))
    if cut == text and not secrets:
        return text
    if list(_secrets_in(_data(cut))) or any(value in cut for _, value in secrets if len(value) > 3):
        return _NO_COPY.format(names)
    return _NOTE.format(names or "in comments") + cut


def _without_secret(found: re.Match[str]) -> str:
    secret = is_secret_name(found["name"]) and found["text"].strip("\"'")
    return f'{found[1]}"{REDACTED}"' if secret else found[0]


def _data(text: str) -> Mapping[str, Any]:
    """The data of a TOML text; empty if it is no TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _secrets_in(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every secret with its name, at any depth."""
    for name, value in data.items():
        if isinstance(value, str) and is_secret(name, value):
            yield name, value
        elif isinstance(value, Mapping):
            yield from _secrets_in(value)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, Mapping):
                    yield from _secrets_in(each)
