"""Finds the application: an object of a web framework, a function that makes one, or a Django project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.init.found import Found
from brokenpipe.init.repository import Repository, SourceFile

CLASSES = {
    "FastAPI": ("fastapi", "FastAPI"),
    "Starlette": ("starlette", "Starlette"),
    "Litestar": ("litestar", "Litestar"),
    "Flask": ("flask", "Flask"),
    "Quart": ("quart", "Quart"),
}
"""The class of an application, the package it is imported from, and the name of the framework."""

ASGI = frozenset({"FastAPI", "Starlette", "Litestar", "Quart"})
_LIKELY_MODULES = ("main", "app", "asgi", "wsgi", "server", "application", "api", "__init__")
_DJANGO_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


@dataclass(frozen=True, slots=True)
class Application:
    """An application: `module:name`, imported from a folder. `factory`: the name is a function that makes it."""

    framework: str
    module: str
    name: str
    import_root: Path
    factory: bool = False
    settings: str = ""
    """Of Django: its settings module."""

    @property
    def path(self) -> str:
        return f"{self.module}:{self.name}"

    @property
    def folder(self) -> Path:
        """The folder in which it is started. One that keeps its packages in src/ is started beside that."""
        return self.import_root.parent if self.in_src else self.import_root

    @property
    def in_src(self) -> bool:
        return self.import_root.name == "src"

    @property
    def asgi(self) -> bool:
        return self.framework in ASGI

    def matches(self, text: str) -> bool:
        """Whether a command that starts a service names this one."""
        return self.path in text or (self.framework == "Django" and "manage.py" in text)


def find_applications(repository: Repository) -> tuple[Found[Application], ...]:
    """All applications, the likely one first."""
    if django := _find_django(repository):
        return (django,)
    made = [found for source in repository.sources for found in _in_source(repository, source)]
    factories = {each.value.name for each in made if each.value.factory}
    instances = [
        found for source in repository.sources for found in _made_elsewhere(repository, source, factories)
    ]
    found = _without_used_factories([*made, *instances])
    return tuple(sorted(found, key=_rank))


def _rank(found: Found[Application]) -> tuple[bool, int, int, bool]:
    last = found.value.module.rpartition(".")[2]
    place = _LIKELY_MODULES.index(last) if last in _LIKELY_MODULES else len(_LIKELY_MODULES)
    return (
        found.value.name not in {"app", "application", "create_app"},
        place,
        found.value.module.count("."),
        False,
    )


def _without_used_factories(found: Sequence[Found[Application]]) -> list[Found[Application]]:
    """Without factories that make one of the instances: both are the same application."""
    used = {each.why for each in found if not each.value.factory}
    return [each for each in found if not (each.value.factory and each.value.name in used)]


def _in_source(repository: Repository, source: SourceFile) -> Iterator[Found[Application]]:
    names = _class_names(source.tree)
    if not names:
        return
    for node in source.tree.body:
        target, value = _assigned(node)
        if target and (framework := _framework_of(value, names)):
            yield _found(repository, source, node, framework, target)
        elif isinstance(node, ast.FunctionDef) and (framework := _framework_made_in(node, names)):
            yield _found(repository, source, node, framework, node.name, factory=True)


def _made_elsewhere(
    repository: Repository, source: SourceFile, factories: set[str]
) -> Iterator[Found[Application]]:
    """Instances at the top of a module that a factory makes. `why` is the name of that factory."""
    for node in source.tree.body:
        target, value = _assigned(node)
        if target and isinstance(value, ast.Call) and (name := _last_name(value.func)) in factories:
            framework = _framework_of_factory(repository, name)
            yield _found(repository, source, node, framework, target, why=name)


def _framework_of_factory(repository: Repository, name: str) -> str:
    for source in repository.sources:
        names = _class_names(source.tree)
        for node in source.tree.body:
            if (
                isinstance(node, ast.FunctionDef)
                and node.name == name
                and (made := _framework_made_in(node, names))
            ):
                return made
    return ""


def _found(
    repository: Repository,
    source: SourceFile,
    node: ast.AST,
    framework: str,
    name: str,
    *,
    factory: bool = False,
    why: str = "",
) -> Found[Application]:
    root = repository.import_root_of(source.path)
    application = Application(framework, repository.module_of(source.path), name, root, factory)
    return Found(application, source.place(node), why)


def _class_names(tree: ast.Module) -> dict[str, str]:
    """The names under which a module has classes of applications: `FastAPI`, or `fastapi.FastAPI`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.partition(".")[0]
            imported = [(alias.name, alias.asname or alias.name) for alias in node.names]
            names |= {
                own: CLASSES[name][1] for name, own in imported if CLASSES.get(name, ("",))[0] == package
            }
        elif isinstance(node, ast.Import):
            modules = {alias.name: alias.asname or alias.name for alias in node.names}
            names |= {
                f"{modules[package]}.{name}": framework
                for name, (package, framework) in CLASSES.items()
                if package in modules
            }
    return names


def _assigned(node: ast.stmt) -> tuple[str, ast.expr | None]:
    """Name and value of an assignment to one name."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return "", None


def _framework_of(value: ast.expr | None, names: dict[str, str]) -> str:
    return names.get(ast.unparse(value.func), "") if isinstance(value, ast.Call) else ""


def _framework_made_in(function: ast.FunctionDef, names: dict[str, str]) -> str:
    """The framework whose application a function makes and returns, if it can be called without arguments."""
    if _required_arguments(function):
        return ""
    returns = any(isinstance(node, ast.Return) and node.value for node in ast.walk(function))
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return next((made for call in calls if returns and (made := _framework_of(call, names))), "")


def _required_arguments(function: ast.FunctionDef) -> bool:
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _find_django(repository: Repository) -> Found[Application] | None:
    for manage in sorted(repository.root.glob("manage.py")) + sorted(repository.root.glob("*/manage.py")):
        text = repository.text(manage) or ""
        if found := _DJANGO_SETTINGS.search(text):
            line = text[: found.start()].count("\n") + 1
            package = found[1].partition(".")[0]
            application = Application(
                "Django", f"{package}.wsgi", "application", manage.parent, settings=found[1]
            )
            return Found(application, f"{repository.shown(manage)}:{line}", "DJANGO_SETTINGS_MODULE")
    return None
