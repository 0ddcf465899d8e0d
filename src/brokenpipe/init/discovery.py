"""All that is found of a service, in the order in which one thing needs the other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brokenpipe.init.applications import Application, find_applications
from brokenpipe.init.database import DatabaseVariables, find_database, named_variable, require_database
from brokenpipe.init.endpoints import Endpoints, choose_readiness, read_endpoints
from brokenpipe.init.found import Found, NotFound
from brokenpipe.init.interpreter import find_interpreter, installed_modules
from brokenpipe.init.migrations import Commands, find_migrations, makes_tables_itself
from brokenpipe.init.repository import Repository
from brokenpipe.init.start_command import SERVERS, Start, find_start, find_written_commands
from brokenpipe.init.variables import Read, find_reads, sample_values
from brokenpipe.plan.placeholders import fill_database_words

DRIVERS = ("asyncpg", "psycopg", "psycopg2", "pg8000", "alembic")
_STAND_IN = {
    "user": "nobody", "password": "none", "host": "127.0.0.1", "port": "1", "database": "none", "sslmode": "disable",
    "sslrootcert": "",
}  # fmt: skip
"""Of a database that is not there: an application is imported with it, and must not reach another one."""

MADE_UP = "made-up-by-init"  # a value of a variable that is required, and of which no file has an example
OPTION = "--app MODULE:NAME"
DATABASE_OPTION = "--database-variable NAME"
Choice = Callable[[str, Sequence[str]], int]
"""Asks which of several is meant, and returns its index. Raises NotFound if nobody can be asked."""


@dataclass(frozen=True, slots=True)
class DiscoveredService:
    """What was found. `settings`: variables that it needs besides those of its database, with the places."""

    name: str
    application: Found[Application]
    interpreter: Found[Path | None]
    python_version: str
    start: Found[Start]
    database: Found[DatabaseVariables]
    migrations: Found[Commands] | None
    makes_tables: str
    endpoints: Endpoints
    settings: Mapping[str, Found[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder in which its commands run."""
        return self.application.value.folder

    @property
    def ready(self) -> str | None:
        """The path of a health endpoint; None: readiness is seen by TCP."""
        return choose_readiness(self.endpoints)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user named, and the way to ask for more."""

    choose: Choice
    application: str | None = None
    database_variable: str | None = None


def discover(repository: Repository, answers: Answers) -> DiscoveredService:
    """Find all of it. Raises NotFound for what is not found, or found twice."""
    interpreter = find_interpreter(repository)
    version, installed = installed_modules(interpreter.value, [*SERVERS, *DRIVERS])
    if not version:
        raise NotFound(
            f"{interpreter.value}: does not answer as a Python interpreter",
            remedy="Make the environment of the service anew; it becomes `python` in target.toml.",
        )
    application = _choose_application(repository, answers)
    folder, reads = application.value.folder, find_reads(repository)
    start = _require_start(
        find_start(repository, application.value, installed), application.value, repository
    )
    database = _choose_database(repository, answers, reads, installed)
    settings = {
        **_prefix_settings(start),
        **_required_settings(repository, reads, database.value, application.value),
    }
    env = _import_environment(database.value, settings)
    return DiscoveredService(
        name=_service_name(repository),
        application=application,
        interpreter=interpreter,
        python_version=version,
        start=start,
        database=database,
        migrations=find_migrations(repository, application.value, folder),
        makes_tables=makes_tables_itself(repository),
        endpoints=read_endpoints(application.value, interpreter.value, folder, env),
        settings=settings,
    )


def _choose_application(repository: Repository, answers: Answers) -> Found[Application]:
    found = find_applications(repository)
    if answers.application:
        return _named_application(found, answers.application)
    if not found:
        raise NotFound(
            f"no application was found in {repository.root}: no FastAPI, Starlette, Litestar, Flask or Quart object, "
            "and no manage.py of Django",
            remedy=f"Change to the repository of the service; or name it: {OPTION}. A service of another kind needs a "
            "target.toml by hand: its key is `command`.",
        )
    for written in find_written_commands(repository):
        for each in found:
            if each.value.matches(written.value):
                return Found(each.value, each.where, f"named by {written.where}")
    if len(found) == 1:
        return found[0]
    paths = [f"{each.value.path}   {each.where}" for each in found]
    return found[answers.choose(f"several applications were found; name one: {OPTION}", paths)]


def _named_application(found: Sequence[Found[Application]], named: str) -> Found[Application]:
    for each in found:
        if each.value.path == named.removesuffix("()"):
            return each
    raise NotFound(
        f"--app {named}: there is no such application",
        remedy=f"Found were: {', '.join(each.value.path for each in found) or 'none'}. It becomes `command` in "
        "target.toml.",
    )


def _require_start(
    found: Found[Start] | None, application: Application, repository: Repository
) -> Found[Start]:
    if found:
        return found
    raise NotFound(
        f"{application.path}: it is not known how it is started: its interpreter has no server, and neither Procfile, "
        "Dockerfile nor compose file starts one that listens where it is told",
        remedy=f"Install uvicorn or gunicorn in the environment of {repository.root}, or write how into Procfile. It "
        "becomes `command` in target.toml.",
    )


def _choose_database(
    repository: Repository, answers: Answers, reads: Sequence[Read], installed: frozenset[str]
) -> Found[DatabaseVariables]:
    if answers.database_variable:
        return named_variable(repository, answers.database_variable, reads, installed)
    found = find_database(repository, reads, installed)
    if len(found) < 2:
        return require_database(found)
    names = [f"{' '.join(each.value.names)}   {each.where}" for each in found]
    question = "several variables may be the one by which the service finds its database"
    return found[answers.choose(f"{question}; name it: {DATABASE_OPTION}", names)]


def _prefix_settings(start: Found[Start]) -> dict[str, Found[str]]:
    return {name: Found(value, start.where) for name, value in start.value.env.items()}


def _required_settings(
    repository: Repository, reads: Sequence[Read], database: DatabaseVariables, application: Application
) -> dict[str, Found[str]]:
    """Variables without which it does not start: values of a sample, or a word of ours as a guess."""
    samples, settings = sample_values(repository), {}
    for read in reads:
        if read.required and read.name not in {*database.names, "PORT", "HOST"}:
            value, place = samples.get(read.name, ("", ""))
            why = f"it is required in {read.where}" if value else "it is required"
            settings[read.name] = Found(value or MADE_UP, place or read.where, why, guess=not value)
    if application.in_src:
        settings.setdefault("PYTHONPATH", Found("src", "src/", "the layout of the repository"))
    return settings


def _import_environment(database: DatabaseVariables, settings: Mapping[str, Found[str]]) -> dict[str, str]:
    templates = {database.dsn_env: database.dsn} if database.dsn_env else database.env
    address = {name: fill_database_words(value, _STAND_IN) for name, value in templates.items()}
    return {**{name: found.value for name, found in settings.items()}, **address}


def _service_name(repository: Repository) -> str:
    """A name for its target: that of its project, or of its folder."""
    try:
        data = tomllib.loads(repository.text(repository.root / "pyproject.toml") or "")
        name = str(data.get("project", {}).get("name") or data["tool"]["poetry"]["name"])
    except (tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError):
        name = repository.root.name
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return plain if plain[:1].isalpha() else f"service_{plain}"[:40].rstrip("_")
