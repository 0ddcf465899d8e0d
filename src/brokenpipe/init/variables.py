"""Finds which environment variables the sources read, with their defaults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from brokenpipe.init.repository import Repository, SourceFile

_READERS = frozenset(
    {"getenv", "get", "config", "env", "str", "url", "db", "db_url", "dj_db_url", "getattr_env"}
)
"""Last words of functions that read a variable: os.getenv, os.environ.get, env.str of environs and django-environ."""
_ENVIRONMENTS = frozenset({"os.environ", "environ", "env", "config", "decouple.config", "Config"})
_SAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")


@dataclass(frozen=True, slots=True)
class Read:
    """A variable that is read somewhere. `default`: None if it is not known; `required`: there is none at all."""

    name: str
    where: str
    default: str | None = None
    required: bool = False


def find_reads(repository: Repository) -> tuple[Read, ...]:
    """All of them, in the order of the sources."""
    return tuple(read for source in repository.sources for read in _reads_of(source))


def sample_values(repository: Repository) -> dict[str, tuple[str, str]]:
    """Values in a sample of an .env file, each with its place."""
    found = {}
    for name, number, line in repository.lines(*_SAMPLES):
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not key.startswith("#"):
            found[key.strip()] = value.strip().strip("\"'"), f"{name}:{number}"
    return found


def _reads_of(source: SourceFile) -> Iterator[Read]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"os.environ", "environ"}:
            if name := _text(node.slice):
                yield Read(name, source.place(node), required=isinstance(node.ctx, ast.Load))
        elif isinstance(node, ast.Call):
            yield from _call(source, node)
        elif isinstance(node, ast.ClassDef) and any(_is_settings(base) for base in node.bases):
            yield from _settings_fields(source, node)


def _call(source: SourceFile, node: ast.Call) -> Iterator[Read]:
    words = ast.unparse(node.func)
    if words.endswith("dj_database_url.config") or words == "dj_database_url.config":
        env = next((_text(each.value) for each in node.keywords if each.arg == "env"), None)
        yield Read(env or "DATABASE_URL", source.place(node), _keyword(node, "default"))
        return
    name = _text(node.args[0]) if node.args else None
    if not name or not name.replace("_", "").isalnum() or name.upper() != name or not _is_reader(words):
        return
    default = node.args[1] if len(node.args) > 1 else None
    text = _text(default) if default is not None else _keyword(node, "default")
    reads_or_none = words.endswith((".get", "getenv"))  # without a default they give None
    has_default = default is not None or any(each.arg == "default" for each in node.keywords)
    yield Read(name, source.place(node), text, required=not has_default and not reads_or_none)


def _is_reader(words: str) -> bool:
    front, _, last = words.rpartition(".")
    return words in {"config", "env", "getenv", "Env"} or (
        last in _READERS and (front in _ENVIRONMENTS or words == "os.getenv")
    )


def _is_settings(base: ast.expr) -> bool:
    return ast.unparse(base).rpartition(".")[2] == "BaseSettings"


def _settings_fields(source: SourceFile, node: ast.ClassDef) -> Iterator[Read]:
    """Fields of a pydantic-settings class: their variables are their names, behind a prefix, in capitals."""
    prefix = _prefix(node)
    for field in node.body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if field.target.id == "model_config":
            continue
        alias = _alias(field.value)
        name = alias or f"{prefix}{field.target.id}".upper()
        default = _default_of(field.value)
        yield Read(name, source.place(field), _text(default), required=default is None)


def _prefix(node: ast.ClassDef) -> str:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("SettingsConfigDict"):
            return _keyword(call, "env_prefix") or ""
        if isinstance(call, ast.Assign) and ast.unparse(call.targets[0]) == "env_prefix":
            return _text(call.value) or ""
    return ""


def _default_of(value: ast.expr | None) -> ast.expr | None:
    """The default of a field; None: it has none."""
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("Field"):
        keyword = next(
            (each.value for each in value.keywords if each.arg in {"default", "default_factory"}), None
        )
        first = value.args[0] if value.args else keyword
        return None if isinstance(first, ast.Constant) and first.value is Ellipsis else first
    return value


def _alias(value: ast.expr | None) -> str | None:
    if not isinstance(value, ast.Call):
        return None
    return _keyword(value, "validation_alias") or _keyword(value, "alias")


def _keyword(node: ast.Call, name: str) -> str | None:
    return next((_text(each.value) for each in node.keywords if each.arg == name), None)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
