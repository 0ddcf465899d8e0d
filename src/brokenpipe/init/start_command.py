"""Finds how the service is started: by Procfile, Dockerfile or compose file, or as its framework is usually started.

A command that is found keeps its options, apart from those that say where to listen, and from reloading.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from brokenpipe.init.applications import Application
from brokenpipe.init.found import Found
from brokenpipe.init.repository import Repository

_ADDRESS_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "uvicorn": ("--host", "--port", "--reload"),
    "gunicorn": ("-b", "--bind", "--reload"),
    "hypercorn": ("-b", "--bind", "--reload"),
    "granian": ("--host", "--port", "--reload"),
    "daphne": ("-b", "--bind", "-p", "--port"),
    "waitress-serve": ("--host", "--port", "--listen"),
    "fastapi": ("--host", "--port", "--reload"),
    "flask": ("-h", "--host", "-p", "--port", "--debug", "--reload"),
    "litestar": ("-H", "--host", "-p", "--port", "-r", "--reload", "-d", "--debug"),
}
"""Options that are replaced, by server."""

_LISTEN: Mapping[str, tuple[str, ...]] = {
    "gunicorn": ("--bind", "{host}:{port}"),
    "hypercorn": ("--bind", "{host}:{port}"),
    "daphne": ("-b", "{host}", "-p", "{port}"),
    "waitress-serve": ("--listen={host}:{port}",),
}
_HOST_AND_PORT = ("--host", "{host}", "--port", "{port}")
_MODULES = {"waitress-serve": "waitress"}  # how `python -m` calls it, where that differs
_FLAGS = frozenset({"--reload", "--debug", "-d", "-r"})
_WRAPPERS = (("exec",), ("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("pdm", "run"), ("hatch", "run"))
_VARIABLE = re.compile(r"\$\{(\w+):?-([^}]*)\}|\$\{?(\w+)\}?")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


@dataclass(frozen=True, slots=True)
class Start:
    """A command for target.toml, and variables that were set in front of it."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def find_written_commands(repository: Repository) -> Iterator[Found[str]]:
    """Commands that files of the repository have for a service, as they are written."""
    for name, number, line in repository.lines("Procfile"):
        if found := re.match(r"web\s*:\s*(.+)", line):
            yield Found(found[1], f"{name}:{number}")
    for name, number, line in repository.lines("Dockerfile", "Containerfile"):
        if found := re.match(r"(?:CMD|ENTRYPOINT)\s+(.+)", line.strip(), re.IGNORECASE):
            yield Found(_exec_form(found[1]), f"{name}:{number}")
    for name, number, line in repository.lines(*_COMPOSE_FILES):
        if found := re.match(r"\s+command\s*:\s*(.+)", line):
            yield Found(_exec_form(found[1].strip("\"'")), f"{name}:{number}")


def _exec_form(text: str) -> str:
    """`["gunicorn", "app"]` as a shell would write it."""
    try:
        parts = json.loads(text)
    except ValueError:
        return text
    return shlex.join(map(str, parts)) if isinstance(parts, list) else text


def find_start(
    repository: Repository, application: Application, installed: Collection[str]
) -> Found[Start] | None:
    """How this application is started. `installed`: servers that its interpreter has. None: it has none."""
    for written in find_written_commands(repository):
        start = start_of(written.value)
        if start and (start.command[1:2] != ("-m",) or _module(start) in installed):
            return Found(start, written.where, written.value)
    return _usual_start(application, installed)


def _module(start: Start) -> str:
    return start.command[2]


def start_of(text: str) -> Start | None:
    """A written command as one for target.toml; None if it is none of a known server."""
    try:
        words = shlex.split(_without_variables(text), comments=True)
    except ValueError:
        return None
    if words[:1] in (["sh"], ["bash"], ["/bin/sh"], ["/bin/bash"]) and "-c" in words[:-1]:
        return start_of(words[words.index("-c") + 1])
    commands = _split(words)
    return next((start for command in reversed(commands) if (start := _start_of_words(command))), None)


def _without_variables(text: str) -> str:
    """Variables of the shell by their defaults. Those without one can only be left in options that are replaced."""
    return _VARIABLE.sub(lambda found: found[2] if found[1] else f"${found[3]}", text)


def _split(words: Sequence[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word in {"&&", ";", "||"}:
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def _start_of_words(words: list[str]) -> Start | None:
    env = {}
    while words and (found := _ASSIGNMENT.fullmatch(words[0])):
        env[found[1]] = found[2]
        words = words[1:]
    for wrapper in _WRAPPERS:
        if tuple(words[: len(wrapper)]) == wrapper:
            words = words[len(wrapper) :]
    if words[:1] and re.fullmatch(r"python[\d.]*", words[0].rpartition("/")[2]):
        words = words[2:] if words[1:2] == ["-m"] else ["python", *words[1:]]
    command = _command_of(words) if words else None
    if command is None or any("$" in part for part in command):
        return None
    return Start(command, {name: value for name, value in env.items() if "$" not in value})


def _command_of(words: list[str]) -> tuple[str, ...] | None:
    program, rest = words[0].rpartition("/")[2], words[1:]
    if program == "python" and rest[:1] and rest[0].endswith("manage.py") and rest[1:2] == ["runserver"]:
        return "{python}", _literal(rest[0]), "runserver", "--noreload", "{host}:{port}"
    options = _ADDRESS_OPTIONS.get(program)
    if options is None:
        return None
    kept = [_literal(word) for word in _without_options(rest, options)]
    listen = _LISTEN.get(program, _HOST_AND_PORT)
    if program == "fastapi" and kept[:1] == ["dev"]:
        kept[0] = "run"
    return "{python}", "-m", _MODULES.get(program, program), *kept, *listen


def _without_options(words: Sequence[str], options: Collection[str]) -> Iterator[str]:
    skip = False
    for word in words:
        name = word.partition("=")[0]
        if skip:
            skip = False
        elif name in options:
            skip = "=" not in word and name not in _FLAGS
        elif not any(len(option) == 2 and word.startswith(option) and word != option for option in options):
            yield word


def _literal(word: str) -> str:
    """A word in which no brace begins a placeholder."""
    return word.replace("{", "{{").replace("}", "}}")


def _usual_start(application: Application, installed: Collection[str]) -> Found[Start] | None:
    for server, command in _usual_commands(application):
        if server in installed:
            return Found(
                Start(command), server, f"no file says how it is started; {server} is installed", guess=True
            )
    return None


def _usual_commands(application: Application) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Commands by the server that they need, the usual one first."""
    path = application.path
    if application.framework == "Django":
        path = application.path
        yield "gunicorn", ("{python}", "-m", "gunicorn", path, "--threads", "8", "--bind", "{host}:{port}")
        yield "django", ("{python}", "manage.py", "runserver", "--noreload", "{host}:{port}")
        return
    if application.asgi:
        factory = ("--factory",) if application.factory else ()
        yield "uvicorn", (
            "{python}", "-m", "uvicorn", path, *factory, *_HOST_AND_PORT, "--timeout-keep-alive", "75",
        )  # fmt: skip
        called = f"{path}()" if application.factory else path
        yield "hypercorn", ("{python}", "-m", "hypercorn", called, "--bind", "{host}:{port}")
        yield "granian", ("{python}", "-m", "granian", path, "--interface", "asgi", *factory, *_HOST_AND_PORT)
        return
    called = f"{path}()" if application.factory else path
    yield "gunicorn", ("{python}", "-m", "gunicorn", called, "--threads", "8", "--bind", "{host}:{port}")
    yield "waitress", (
        "{python}", "-m", "waitress", *(("--call",) if application.factory else ()), "--listen={host}:{port}", path,
    )  # fmt: skip
    yield "flask", ("{python}", "-m", "flask", "--app", path, "run", *_HOST_AND_PORT)


SERVERS = (
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "granian",
    "daphne",
    "waitress",
    "flask",
    "fastapi",
    "litestar",
    "django",
)
"""The modules that start one."""
