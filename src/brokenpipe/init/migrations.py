"""Finds what makes the tables: Alembic, Django's migrations, or SQL files."""

from __future__ import annotations

import ast
from pathlib import Path

from brokenpipe.init.applications import Application
from brokenpipe.init.found import Found
from brokenpipe.init.repository import Repository

Commands = tuple[tuple[str, ...], ...]

_SQL_FILES = (
    "schema.sql", "init.sql", "structure.sql", "db/schema.sql", "db/init.sql", "db/structure.sql", "sql/schema.sql",
    "sql/init.sql", "database/schema.sql", "migrations/schema.sql",
)  # fmt: skip
_PSQL = (
    "{psql}",
    "-q",
    "-v",
    "ON_ERROR_STOP=1",
    "-d",
    "postgresql://{user}:{password}@{host}:{port}/{database}",
    "-f",
)


def find_migrations(repository: Repository, application: Application, folder: Path) -> Found[Commands] | None:
    """The commands of `prepare`, which run in `folder`. None: no file says how tables are made."""
    if application.framework == "Django":
        command = ("{python}", "manage.py", "migrate", "--noinput")
        return Found((command,), repository.shown(folder / "manage.py"), "Django's migrations")
    return _find_alembic(repository, folder) or _find_sql(repository, folder)


def _find_alembic(repository: Repository, folder: Path) -> Found[Commands] | None:
    root = repository.root
    for file in (folder / "alembic.ini", root / "alembic.ini", *sorted(root.glob("*/alembic.ini"))):
        if file.is_file():
            config = () if file.parent == folder else ("-c", _relative(file, folder))
            command = ("{python}", "-m", "alembic", *config, "upgrade", "head")
            return Found((command,), repository.shown(file), "Alembic")
    return None


def _find_sql(repository: Repository, folder: Path) -> Found[Commands] | None:
    for name in _SQL_FILES:
        if (file := repository.root / name).is_file():
            return Found(((*_PSQL, _relative(file, folder)),), name, "a file of SQL")
    return None


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def makes_tables_itself(repository: Repository) -> str:
    """Where the service makes its tables when it starts, such as by `create_all`; empty: nowhere."""
    for source in repository.sources:
        for node in ast.walk(source.tree):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if "CREATE TABLE" in text.upper() or (
                isinstance(node, ast.Attribute) and node.attr == "create_all"
            ):
                return source.place(node)
    return ""
