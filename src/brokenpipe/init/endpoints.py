"""Endpoints of the service, read from its OpenAPI document or its map of URLs in its own interpreter.

Only what reads is requested by the locustfile that is made from them. What writes is listed there as a comment.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from brokenpipe.init.applications import Application
from brokenpipe.stack.processes.process import clean_environment

SCRIPT = Path(__file__).with_name("endpoint_script.py")
TIMEOUT_S = 60.0
_SAFE = ("GET",)
_BY_TYPE: Mapping[str, object] = {"integer": 1, "number": 1.0, "boolean": True, "string": "1"}
_BY_FORMAT: Mapping[str, object] = {
    "uuid": "00000000-0000-0000-0000-000000000001",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "email": "someone@example.com",
}
_BY_CONVERTER = (("uuid", _BY_FORMAT["uuid"]), ("int", 1), ("float", 1.0))  # parts of the names of converters
_HEALTH = re.compile(
    r"/_*(health|healthz|healthcheck|health-check|livez|live|readyz|ready|ping|status|up)/?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and a path. `example`: the path with its parameters, ready to be requested."""

    method: str
    path: str
    example: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def reads(self) -> bool:
        return self.method in _SAFE

    @property
    def is_health(self) -> bool:
        return bool(_HEALTH.search(self.path))


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What an application says of itself. `error`: the last lines of one that could not be imported."""

    every: tuple[Endpoint, ...] = ()
    source: str = ""
    error: tuple[str, ...] = ()


def read_endpoints(
    application: Application, python: Path | None, folder: Path, env: Mapping[str, str]
) -> Endpoints:
    """Import the application in its own interpreter, with these variables, and ask it for its endpoints."""
    settings = {"DJANGO_SETTINGS_MODULE": application.settings} if application.settings else {}
    kind = "factory" if application.factory else "object"
    command = [
        str(python or sys.executable),
        str(SCRIPT),
        application.framework,
        application.module,
        application.name,
        kind,
    ]
    try:
        answer = subprocess.run(
            command, cwd=folder, env=clean_environment({**settings, **env}), capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Endpoints(error=(str(error),))
    try:
        described = json.loads(answer.stdout.splitlines()[-1])
        return _endpoints_of(described)
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        lines = (answer.stderr or answer.stdout).splitlines()
        return Endpoints(error=tuple(lines[-8:]))


def _endpoints_of(described: Mapping[str, Any]) -> Endpoints:
    if "openapi" in described:
        return Endpoints(tuple(_of_openapi(described["openapi"])), "its OpenAPI document")
    return Endpoints(tuple(_of_urls(described["urls"])), "its map of URLs")


def _of_urls(urls: Sequence[Mapping[str, Any]]) -> Iterator[Endpoint]:
    for url in urls:
        values = {name: _by_converter(kind) for name, kind in url["types"].items()}
        for method in url["methods"]:
            yield Endpoint(method, url["path"], _fill_path(url["path"], values))


def _by_converter(kind: str) -> object:
    return next((value for part, value in _BY_CONVERTER if part in kind.lower()), "1")


def _of_openapi(document: Mapping[str, Any]) -> Iterator[Endpoint]:
    for path, item in document.get("paths", {}).items():
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                parameters = [
                    _resolved(document, each) for each in (*shared, *operation.get("parameters", []))
                ]
                yield Endpoint(method.upper(), path, _example(document, path, parameters))


def _example(document: Mapping[str, Any], path: str, parameters: Sequence[Mapping[str, Any]]) -> str:
    needed = [each for each in parameters if each.get("required") or each.get("in") == "path"]
    values = {each["name"]: _value(document, each) for each in needed}
    filled = _fill_path(path, {each["name"]: values[each["name"]] for each in needed if each["in"] == "path"})
    query = {each["name"]: _shown(values[each["name"]]) for each in needed if each["in"] == "query"}
    return f"{filled}?{urlencode(query)}" if query else filled


def _fill_path(path: str, values: Mapping[str, object]) -> str:
    return re.sub(
        r"\{(\w+)(?::\w+)?\}", lambda found: quote(_shown(values.get(found[1], "1")), safe=""), path
    )


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> object:
    """A value for a parameter: an example, the default, the first that is allowed, or one of its type."""
    schema = _resolved(document, parameter.get("schema", {}))
    for holder in (parameter, schema):
        if "example" in holder:
            return holder["example"]
        examples = holder.get("examples")
        if examples:
            first = examples[0] if isinstance(examples, list) else next(iter(examples.values()))
            return first.get("value", first) if isinstance(first, dict) else first
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    return _typed_value(schema)


def _typed_value(schema: Mapping[str, Any]) -> object:
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    kinds = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"] or [schema]
    kind = kinds[0].get("type", "string")
    if kind in {"integer", "number"}:
        return max(1, kinds[0].get("minimum", 1), kinds[0].get("exclusiveMinimum", 0) + 1)
    return "1" * max(1, kinds[0].get("minLength", 1)) if kind == "string" else _BY_TYPE.get(kind, "1")


def _resolved(document: Mapping[str, Any], node: Any) -> Any:
    """What a reference such as #/components/schemas/Order stands for."""
    reference = node.get("$ref") if isinstance(node, dict) else None
    if not isinstance(reference, str):
        return node
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def choose_readiness(endpoints: Endpoints) -> str | None:
    """The path of a health endpoint; None: there is none, and readiness is seen by TCP."""
    return next(
        (each.path for each in endpoints.every if each.reads and each.is_health and "{" not in each.path),
        None,
    )
