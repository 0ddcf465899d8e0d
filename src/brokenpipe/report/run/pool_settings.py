"""The settings of an arm as Python to copy: the constructor that its service called, with the arguments it gave."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.pool_settings import PoolSettings

_ADDRESS = {"asyncpg": "DATABASE_URL", "psycopg2": "dsn=DATABASE_URL"}
_INDENT = "    "
_REST = "# and what else you give it: not recorded"


def settings_text(findings: Findings, arm: str) -> str:
    """How the arm's pools were made; of pools that were not seen, the variables that the arm was given."""
    made = findings.pool_settings.get(arm, ())
    if made:
        return "\n\n".join(map(python_source, made))
    variables = {**findings.shared_env, **findings.arms[arm]}
    return "\n".join(f"{name}={value}" for name, value in variables.items())


def python_source(settings: PoolSettings) -> str:
    """Write a call of the constructor; of Django, the entry in its settings."""
    if settings.constructor == "DATABASES":
        return _django_source(settings.arguments)
    lines = [_ADDRESS.get(settings.library, "DATABASE_URL")]
    lines += [f"{name}={_python(value)}" for name, value in settings.arguments.items()]
    return "\n".join(
        [f"{settings.constructor}(", *(f"{_INDENT}{line}," for line in lines), _INDENT + _REST, ")"]
    )


def _django_source(arguments: Mapping[str, object]) -> str:
    """Write the entry: what is Django's own beside what its pool takes as an option."""
    own = {name: value for name, value in arguments.items() if name != "pool"}
    lines = [f'"{name}": {_python(value)},' for name, value in own.items()]
    if "pool" in arguments:
        lines.append(f'"OPTIONS": {{"pool": {_python(arguments["pool"])}}},')
    inner = [
        f'{_INDENT}"default": {{',
        *(f"{_INDENT * 2}{line}" for line in ["**DATABASE,", *lines]),
        f"{_INDENT}}},",
    ]
    return "\n".join(["DATABASES = {", *inner, "}"])


def _python(value: object) -> str:
    """Write a number, a flag or a dictionary of them; a text is source already."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{name}": {_python(each)}' for name, each in value.items()) + "}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else repr(value)
