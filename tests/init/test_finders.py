"""What is found in a repository, where that stands, and what is said of what is not there. Nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.init.conftest import Layout
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

from brokenpipe.commands.init import _Chooser
from brokenpipe.init import discovery
from brokenpipe.init.applications import find_applications
from brokenpipe.init.discovery import Answers, DiscoveredService, discover
from brokenpipe.init.endpoints import Endpoints, _endpoints_of
from brokenpipe.init.files import render, write_folder
from brokenpipe.init.found import NotFound
from brokenpipe.init.repository import Repository
from brokenpipe.init.start_command import start_of
from brokenpipe.plan.target import parse_target


def first(_question: str, _choices: Sequence[str]) -> int:
    return 0


def found_in(root: Path) -> DiscoveredService:
    return discover(Repository(root), Answers(first))


@pytest.fixture
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application is not imported for its endpoints: that takes a second."""
    monkeypatch.setattr(discovery, "read_endpoints", lambda *_: Endpoints())


# --- five repositories ----------------------------------------------------------------------------------

UVICORN = ("{python}", "-m", "uvicorn")
LISTEN = ("--host", "{host}", "--port", "{port}")
FOUND: dict[str, Any] = {
    "orders": {
        "application": ("FastAPI", "orders.main:app", "orders/main.py:15"),
        "start": ((*UVICORN, "orders.main:app", *LISTEN, "--timeout-keep-alive", "75"), "uvicorn"),
        "database": (("DATABASE_URL",), "postgresql+asyncpg://", "orders/db.py:10"),
        "tables": ("{python}", "-m", "alembic", "upgrade", "head"),
        "settings": {"ORDERS_REGION": "eu-west"},
        "reads": ["/orders", "/orders/1", "/search?q=1"],
        "ready": "/healthz",
    },
    "library": {
        "application": ("Django", "library.wsgi:application", "manage.py:9"),
        "start": (
            ("{python}", "-m", "gunicorn", "library.wsgi:application", "--threads", "8", "--bind", "{host}:{port}"),
            "gunicorn",
        ),
        "database": (("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT"), "", "library/settings.py:18"),
        "tables": ("{python}", "manage.py", "migrate", "--noinput"),
        "settings": {"DJANGO_SECRET_KEY": "made-up-by-init"},
        "reads": ["/books/", "/books/1/"],
        "ready": "/health/",
    },
    "shop": {
        "application": ("Flask", "shop:create_app", "shop/__init__.py:10"),
        "start": (
            ("{python}", "-m", "gunicorn", "shop:create_app()", "--workers", "1", "--threads", "8",
             "--bind", "{host}:{port}"),
            "Procfile:2",
        ),
        "database": (("DATABASE_URL",), "postgresql://", "shop/__init__.py:13"),
        "tables": ("{psql}", "-q", "-v", "ON_ERROR_STOP=1", "-d",
                   "postgresql://{user}:{password}@{host}:{port}/{database}", "-f", "schema.sql"),
        "settings": {},
        "reads": ["/articles", "/articles/1"],
        "ready": None,
    },
    "notes": {
        "application": ("Starlette", "app.server:app", "app/server.py:47"),
        "start": ((*UVICORN, "app.server:app", *LISTEN), "Dockerfile:3"),
        "database": (("NOTES_DSN",), "postgresql://", "app/settings.py:6"),
        "tables": None,
        "settings": {},
        "reads": ["/notes", "/notes/1"],
        "ready": "/ping",
    },
    "invoices": {
        "application": ("FastAPI", "invoices.api:build_app", "src/invoices/api.py:27"),
        "start": ((*UVICORN, "invoices.api:build_app", "--factory", *LISTEN, "--timeout-keep-alive", "75"), "uvicorn"),
        "database": (("INVOICES_DATABASE_URL",), "postgresql+psycopg2://", "src/invoices/settings.py:12"),
        "tables": None,
        "settings": {"INVOICES_SIGNING_KEY": "made-up-by-init", "PYTHONPATH": "src"},
        "reads": ["/invoices/total"],
        "ready": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_everything_is_found_with_its_place(name: str, layout: Layout) -> None:
    """Application, start, database, tables, variables and endpoints of a repository that knows nothing of us."""
    service, expected = found_in(layout(name)), FOUND[name]
    application = service.application
    assert (application.value.framework, application.value.path, application.where) == expected["application"]
    assert (service.start.value.command, service.start.where) == expected["start"]
    names, scheme, where = expected["database"]
    database = service.database
    assert (database.value.names, database.value.dsn.partition("{")[0], database.where) == (
        names,
        scheme,
        where,
    )
    assert (service.migrations.value[0] if service.migrations else None) == expected["tables"]
    assert {name: found.value for name, found in service.settings.items()} == expected["settings"]
    assert service.endpoints.error == ()
    reads = [each.example for each in service.endpoints.every if each.reads and not each.is_health]
    assert (reads, service.ready) == (expected["reads"], expected["ready"])
    assert str(service.interpreter.value).endswith(f"{name}/.venv/bin/python")
    assert bool(service.makes_tables) == (expected["tables"] is None)


@pytest.mark.parametrize("name", FOUND)
def test_what_is_written_is_read(name: str, layout: Layout, not_imported: None) -> None:
    """target.toml and scenario are ours to parse, the locustfile is Python, and the folder has no other file."""
    root = layout(name)
    service = found_in(root)
    folder = write_folder(root, service, force=False)
    target = parse_target(folder / "targets" / service.name)
    assert target.command == service.start.value.command
    assert (folder / "targets" / service.name / target.folder).resolve() == root.resolve()
    compile((folder / "scenarios" / "locustfile.py").read_text(), "locustfile.py", "exec")
    assert len((folder / "README.md").read_text().splitlines()) == 10
    assert (folder / ".gitignore").read_text() == "reports/\n"
    assert sorted(path.name for path in root.iterdir() if path.name.startswith(".b")) == []


def test_a_dry_run_takes_it(layout: Layout, not_imported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder below, as people work."""
    root = layout("orders")
    write_folder(root, found_in(root), force=False)
    monkeypatch.chdir(root / "orders")
    answer = brokenpipe("run", "default", "--dry-run")
    assert answer.exit_code == 0, answer
    assert "arm as_it_is (control)" in answer.out


# --- what is not there ----------------------------------------------------------------------------------


def write(root: Path, **files: str) -> Path:
    """Files by their names, with `_py` for the suffix."""
    for name, text in files.items():
        file = root / name.replace("_py", ".py")
        file.write_text(text)
    return root


FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def refused(root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What `init` says to a repository that it cannot read; nothing is written."""
    before = sorted(root.rglob("*"))
    monkeypatch.chdir(root)
    answer = brokenpipe("init", *arguments)
    assert_answers_a_mistake(answer)
    assert sorted(root.rglob("*")) == before
    return answer.said


def test_no_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked for, and the key of a target by hand. A guess is not possible."""
    said = refused(write(tmp_path, tool_py="import os\n"), monkeypatch, "--yes")
    assert "no application was found in" in said
    assert "its key is `command`" in said


def test_two_applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_imported: None) -> None:
    """Both are named with their places. --yes takes the likely one; --app names one."""
    root = write(tmp_path, main_py=f"import os\n{FASTAPI}os.environ['DATABASE_URL']\n", admin_py=FASTAPI)
    said = refused(root, monkeypatch)
    assert "several applications were found; name one: --app MODULE:NAME" in said
    assert "main:app main.py:4" in said
    assert "admin:app admin.py:3" in said
    assert found_in(root).application.value.path == "main:app"
    named = discover(Repository(root), Answers(first, application="admin:app"))
    assert named.application.value.path == "admin:app"


def test_no_database_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_imported: None) -> None:
    """An address that is fixed in the code goes past the proxy; --database-variable names one that was not seen."""
    root = write(tmp_path, main_py=f'{FASTAPI}DSN = "postgresql://app@db.internal/app"\n')
    said = refused(root, monkeypatch, "--yes")
    assert "no variable was found by which the service finds its database" in said
    assert "It becomes `dsn_env` in target.toml." in said
    named = discover(Repository(root), Answers(first, database_variable="PG_ADDRESS"))
    assert named.database.value.dsn_env == "PG_ADDRESS"


def test_two_database_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_imported: None) -> None:
    """Both are named; the usual name comes first."""
    reads = (
        "import os\nos.environ['BILLING_DB_URL']\nos.getenv('DATABASE_URL')\nos.getenv('TEST_DATABASE_URL')\n"
    )
    root = write(tmp_path, main_py=FASTAPI + reads)
    said = refused(root, monkeypatch)
    assert "name it: --database-variable NAME" in said
    assert "DATABASE_URL main.py:6 BILLING_DB_URL main.py:5 →" in said
    assert found_in(root).database.value.dsn_env == "DATABASE_URL"


def test_at_a_terminal_the_user_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Again, if the number is none of those that were shown; with --yes the first is taken, and said to be a guess."""
    typed = iter([7, 2])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(typed))
    assert _Chooser(guess=False)("Which one?", ["main:app", "admin:app"]) == 1
    assert _Chooser(guess=True)("Which one?", ["main:app", "admin:app"]) == 0
    assert "a guess of 2: main:app" in capsys.readouterr().out


def test_a_folder_that_is_there_is_not_overwritten(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, not_imported: None
) -> None:
    """Without --force nothing changes; with it reports stay, and all else is new."""
    root = layout("notes")
    (root / "brokenpipe" / "reports").mkdir(parents=True)
    (root / "brokenpipe" / "reports" / "kept").touch()
    (root / "brokenpipe" / "mine").touch()
    assert "brokenpipe is there already, and nothing in it was changed" in refused(root, monkeypatch, "--yes")
    service = found_in(root)
    folder = write_folder(root, service, force=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        "README.md",
        "reports",
        "scenarios",
        "targets",
    ]
    assert (folder / "reports" / "kept").exists()


def test_what_cannot_be_written_leaves_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, not_imported: None
) -> None:
    """A disk that is full in the middle: neither half a folder nor the temporary one stays."""
    root = layout("notes")
    service, before = found_in(root), sorted(root.iterdir())
    real = Path.write_text

    def full(path: Path, *args: str, **more: str) -> int:
        if path.name == "locustfile.py":
            raise OSError(28, "No space left on device")
        return real(path, *args, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(Exception, match="cannot be written: No space left on device"):
        write_folder(root, service, force=False)
    assert sorted(root.iterdir()) == before


# --- single finders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("exec uvicorn app:app --host=0.0.0.0 --port ${PORT:-80} --reload --workers 2",
         "{python} -m uvicorn app:app --workers 2 --host {host} --port {port}"),
        ("sh -c 'alembic upgrade head && gunicorn -b :8000 -w 2 shop.wsgi'",
         "{python} -m gunicorn -w 2 shop.wsgi --bind {host}:{port}"),
        ("poetry run python -m hypercorn app:app -b 0.0.0.0:80", "{python} -m hypercorn app:app --bind {host}:{port}"),
        ("python3 manage.py runserver 0.0.0.0:8000", "{python} manage.py runserver --noreload {host}:{port}"),
        ("waitress-serve --call --port=8080 shop:make", "{python} -m waitress --call shop:make --listen={host}:{port}"),
        ("FLASK_APP=shop flask run -h 0.0.0.0 -p 80", "{python} -m flask run --host {host} --port {port}"),
        ("fastapi dev main.py", "{python} -m fastapi run main.py --host {host} --port {port}"),
        ("gunicorn app --workers $WORKERS", None),
        ("python main.py", None),
        ("celery -A app worker", None),
        ("uvicorn 'unfinished", None),
    ],
)  # fmt: skip
def test_a_written_command_listens_where_it_is_told(written: str, command: str | None) -> None:
    """Options that say where to listen are replaced, all others stay; what is no known server is none."""
    start = start_of(written)
    assert (" ".join(start.command) if start else None) == command


def test_applications_in_many_forms(tmp_path: Path) -> None:
    """An object, a factory, one that is imported as a module, one that another module makes; not what tests make."""
    (tmp_path / "tests").mkdir()
    write(
        tmp_path,
        a_py="import flask\n\napp: flask.Flask = flask.Flask(__name__)\n",
        b_py="from starlette.applications import Starlette as S\n\ndef make():\n    made = S()\n    return made\n",
        c_py="from b import make\n\nserved = make()\n",
        d_py="from fastapi import FastAPI\n\ndef needs(settings):\n    return FastAPI()\n",
        e_py="def not_python(:\n",
    )
    (tmp_path / "tests" / "fake.py").write_text(FASTAPI)
    found = find_applications(Repository(tmp_path))
    assert {(each.value.framework, each.value.path) for each in found} == {
        ("Flask", "a:app"),
        ("Starlette", "c:served"),
    }


def test_required_parameters_are_filled_from_the_schema() -> None:
    """Examples, defaults, enumerations, bounds and formats; what is not required is left out."""
    document = {
        "components": {"parameters": {"day": {"name": "day", "in": "query", "required": True,
                                              "schema": {"type": "string", "format": "date"}}}},
        "paths": {
            "/a/{kind}/{id}": {
                "parameters": [{"name": "kind", "in": "path", "required": True, "schema": {"enum": ["x y", "z"]}}],
                "get": {"parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 7}},
                    {"$ref": "#/components/parameters/day"},
                    {"name": "more", "in": "query", "schema": {"type": "string"}},
                    {"name": "size", "in": "query", "required": True, "schema": {"type": "integer"}, "example": 3},
                ]},
                "delete": {},
            },
            "/u/{uid}": {"get": {"parameters": [
                {"name": "uid", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}]}},
        },
    }  # fmt: skip
    every = _endpoints_of({"openapi": document}).every
    assert [(each.name, each.example) for each in every] == [
        ("GET /a/{kind}/{id}", "/a/x%20y/7?day=2026-01-01&size=3"),
        ("DELETE /a/{kind}/{id}", "/a/x%20y/1"),
        ("GET /u/{uid}", "/u/00000000-0000-0000-0000-000000000001"),
    ]


def test_an_application_that_cannot_be_imported_is_said_to_be_so(layout: Layout) -> None:
    """With the last line of its traceback; the rest is written all the same, and users ask for /."""
    root = layout("orders")
    (root / "orders" / "main.py").write_text(f"{FASTAPI}import not_installed\n")
    service = found_in(root)
    assert service.endpoints.error[-1] == "ModuleNotFoundError: No module named 'not_installed'"
    assert 'self.read("/", "GET /")' in render(service, root)["scenarios/locustfile.py"]


def test_an_environment_that_does_not_answer(layout: Layout) -> None:
    """It is named, with its key."""
    root = layout("orders")
    (root / ".venv").unlink()
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 3\n")
    (root / ".venv" / "bin" / "python").chmod(0o755)
    with pytest.raises(NotFound, match="does not answer as a Python interpreter") as refusal:
        found_in(root)
    assert "`python` in target.toml" in refusal.value.remedy


def test_importing_an_application_reaches_no_database(layout: Layout) -> None:
    """What init starts to read endpoints is given the address of nothing."""
    root = layout("shop")
    (root / "shop" / "__init__.py").write_text(
        "import os\nfrom flask import Flask\n\n\ndef create_app():\n    app = Flask(__name__)\n"
        "    address = os.environ['DATABASE_URL'].rpartition('@')[2]\n"
        "    app.add_url_rule('/' + address.replace('/', '-'), 'x')\n    return app\n"
    )
    (endpoint,) = found_in(root).endpoints.every
    assert endpoint.path == "/127.0.0.1:1-none"
