"""Finds the variables by which the service finds its database: one address, or several parts of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from brokenpipe.init.found import Found, NotFound
from brokenpipe.init.repository import Repository
from brokenpipe.init.variables import Read, sample_values

_ADDRESS_NAME = re.compile(
    r"(?:[A-Z0-9]+_)*(?:(?:DATABASE|DB|POSTGRES|POSTGRESQL|PG|SQLALCHEMY)(?:_\w+)?_(?:URL|URI|DSN)|DSN|PGDSN|DATABASE)"
)
_PART_NAME = re.compile(
    r"(?P<front>(?:[A-Z0-9]+_)*(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG|SQL)_?)"
    r"(?P<part>HOST|HOSTNAME|SERVER|PORT|USER|USERNAME|PASSWORD|PASS|PASSWD|PWD|PW|NAME|DATABASE|DBNAME|DB)"
)
_NOT_OURS = re.compile(r"TEST|REPLICA|READONLY|READ_ONLY|REDIS|MONGO|SENTRY|CELERY|MYSQL|CACHE|QUEUE|ELASTIC")
_WORDS = {
    "HOST": "host", "HOSTNAME": "host", "SERVER": "host", "PORT": "port", "USER": "user", "USERNAME": "user",
    "PASSWORD": "password", "PASS": "password", "PASSWD": "password", "PWD": "password", "PW": "password",
    "NAME": "database", "DATABASE": "database", "DBNAME": "database", "DB": "database",
}  # fmt: skip
_SCHEME = re.compile(r"(postgres(?:ql)?(?:\+\w+)?)://", re.IGNORECASE)
_ADDRESS = "{user}:{password}@{host}:{port}/{database}"
OPTION = "--database-variable NAME"


@dataclass(frozen=True, slots=True)
class DatabaseVariables:
    """Either `dsn_env` with its `dsn`, or variables in `env` with placeholders."""

    dsn_env: str = ""
    dsn: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.dsn_env,) if self.dsn_env else tuple(self.env)


def find_database(
    repository: Repository, reads: Sequence[Read], installed: Collection[str]
) -> tuple[Found[DatabaseVariables], ...]:
    """Every way by which it may find its database, the likely one first; empty: there is none."""
    ours = [read for read in reads if not _NOT_OURS.search(read.name)]
    found = [*_addresses(repository, ours, installed), *_parts(ours)]
    return tuple(found)


def named_variable(
    repository: Repository, name: str, reads: Sequence[Read], installed: Collection[str]
) -> Found[DatabaseVariables]:
    """The variable that was named by the user, with an address in the form that its default has."""
    read = next((each for each in reads if each.name == name), Read(name, OPTION.partition(" ")[0]))
    return _address_of(repository, read, installed)


def require_database(found: Sequence[Found[DatabaseVariables]]) -> Found[DatabaseVariables]:
    """The first. Raises NotFound if there is none."""
    if not found:
        raise NotFound(
            "no variable was found by which the service finds its database: its address seems to be fixed in the code, "
            "and then it goes past the proxy",
            remedy=f"Let the code read it from a variable such as DATABASE_URL; or name it: {OPTION}. It becomes "
            "`dsn_env` in target.toml.",
        )
    return found[0]


def _addresses(
    repository: Repository, reads: Sequence[Read], installed: Collection[str]
) -> Iterator[Found[DatabaseVariables]]:
    seen = set()
    likely = sorted(reads, key=lambda read: (read.name != "DATABASE_URL", not _is_address(read)))
    for read in likely:
        if read.name not in seen and _is_address(read):
            seen.add(read.name)
            yield _address_of(repository, read, installed)


def _is_address(read: Read) -> bool:
    return bool(_ADDRESS_NAME.fullmatch(read.name) or (read.default and _SCHEME.match(read.default)))


def _address_of(repository: Repository, read: Read, installed: Collection[str]) -> Found[DatabaseVariables]:
    scheme, why = _scheme_of(repository, read, installed)
    dsn = f"{scheme}://{_ADDRESS}"
    return Found(DatabaseVariables(read.name, dsn), read.where, why)


def _scheme_of(repository: Repository, read: Read, installed: Collection[str]) -> tuple[str, str]:
    """The scheme of its address, as a default has it, or as the library wants it."""
    if read.default and (found := _SCHEME.match(read.default)):
        return found[1], "the form of its default"
    value, place = sample_values(repository).get(read.name, ("", ""))
    if found := _SCHEME.match(value):
        return found[1], f"the form of {place}"
    called = {ast.unparse(node.func) for source in repository.sources for node in ast.walk(source.tree)
              if isinstance(node, ast.Call)}  # fmt: skip
    rewrites = any("postgresql+" in ast.unparse(source.tree) for source in repository.sources)
    if any(name.endswith("create_async_engine") for name in called) and not rewrites:
        driver = next((each for each in ("asyncpg", "psycopg") if each in installed), "asyncpg")
        return f"postgresql+{driver}", f"create_async_engine, {driver} is installed"
    if (
        any(name.endswith("create_engine") for name in called)
        and not rewrites
        and "psycopg2" not in installed
    ):
        driver = next((each for each in ("psycopg", "pg8000") if each in installed), "")
        return (
            (f"postgresql+{driver}", f"create_engine, {driver} is installed")
            if driver
            else ("postgresql", "")
        )
    return "postgresql", "the usual form"


def _parts(reads: Sequence[Read]) -> Iterator[Found[DatabaseVariables]]:
    """Groups of variables with one front, such as DB_, of which one is the host."""
    matched = [(found["front"], _WORDS[found["part"]], read) for read in reads
               if (found := _PART_NAME.fullmatch(read.name))]  # fmt: skip
    for _, group in groupby(sorted(matched, key=lambda each: each[0]), key=lambda each: each[0]):
        words: dict[str, Read] = {}
        for _, word, read in group:
            words.setdefault(word, read)
        if "host" in words:
            env = {read.name: f"{{{word}}}" for word, read in words.items()}
            why = "" if "port" in words else "no variable of its port"
            yield Found(DatabaseVariables(env=env), words["host"].where, why)
