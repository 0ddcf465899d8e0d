"""Writes which endpoints an application has, as JSON on the last line. It runs in the service's own interpreter.

It imports the application and nothing of ours. FastAPI and Litestar have an OpenAPI document; of the others the map of
URLs is read. Arguments: framework, module, name, `factory` or `object`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any


def describe(framework: str, module: str, name: str, kind: str) -> dict[str, Any]:
    """Load the application and describe it."""
    sys.path.insert(0, "")
    if framework == "Django":
        return {"urls": list(_django_urls())}
    application = getattr(importlib.import_module(module), name)
    if kind == "factory":
        application = application()
    if framework == "FastAPI":
        return {"openapi": application.openapi()}
    if framework == "Litestar":
        return {"openapi": application.openapi_schema.to_schema()}
    if hasattr(application, "url_map"):
        return {"urls": list(_flask_urls(application))}
    return {"urls": list(_starlette_urls(application.routes, ""))}


def _url(path: str, methods: Any, types: dict[str, str]) -> dict[str, Any]:
    return {"path": path, "methods": sorted(set(methods) - {"HEAD", "OPTIONS"}), "types": types}


def _flask_urls(application: Any) -> Iterator[dict[str, Any]]:
    """Rules of Flask and Quart, apart from static files."""
    for rule in application.url_map.iter_rules():
        if rule.endpoint.rpartition(".")[2] != "static":
            path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
            types = {argument: type(rule._converters[argument]).__name__ for argument in rule.arguments}
            yield _url(path, rule.methods, types)


def _starlette_urls(routes: Any, front: str) -> Iterator[dict[str, Any]]:
    """Routes of Starlette, mounted ones too."""
    for route in routes:
        path = front + getattr(route, "path", "")
        if getattr(route, "methods", None):
            types = {argument: type(each).__name__ for argument, each in route.param_convertors.items()}
            yield _url(re.sub(r"\{(\w+):\w+\}", r"{\1}", path), route.methods, types)
        elif getattr(route, "routes", None):
            yield from _starlette_urls(route.routes, path)


def _django_urls() -> Iterator[dict[str, Any]]:
    """Patterns of the root URLconf, apart from the admin; regular expressions are left out."""
    django: Any = importlib.import_module("django")
    django.setup()
    urls: Any = importlib.import_module("django.urls")
    return _django_patterns(urls.get_resolver().url_patterns, "/")


def _django_patterns(patterns: Any, front: str) -> Iterator[dict[str, Any]]:
    for each in patterns:
        route = getattr(each.pattern, "_route", None)
        if route is None or getattr(each, "app_name", None) == "admin":
            continue
        if hasattr(each, "url_patterns"):
            yield from _django_patterns(each.url_patterns, front + route)
            continue
        types = {
            argument: type(converter).__name__ for argument, converter in each.pattern.converters.items()
        }
        path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", front + route)
        yield _url(path, _django_methods(each.callback), types)


def _django_methods(view: Any) -> list[str]:
    """Methods of a view: those of its class, or those that a decorator allows; GET if nothing is known."""
    view_class = getattr(view, "view_class", getattr(view, "cls", None))
    if view_class:
        names = ("get", "post", "put", "patch", "delete")
        return [name.upper() for name in names if hasattr(view_class, name)]
    for cell in getattr(view, "__closure__", None) or ():
        value = cell.cell_contents
        if (
            isinstance(value, (list, tuple))
            and value
            and all(isinstance(word, str) and word.isupper() for word in value)
        ):
            return list(value)
    wrapped = getattr(view, "__wrapped__", None)
    return _django_methods(wrapped) if wrapped else ["GET"]


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(describe(*sys.argv[1:5]), default=str) + "\n")
