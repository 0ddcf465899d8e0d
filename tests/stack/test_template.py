"""The template of Postgres's data: made once, copied whole or not at all, and no key to what runs on a copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from brokenpipe.stack.postgres import cluster, template
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import Janitor, NoJanitor


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return template.template_folder("").parent


def _superuser(server: Postgres, password: str) -> str:
    return server.dsn().replace(server.password, password)


def test_a_second_server_starts_on_a_copy(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """initdb runs once for two servers, which are whole, and whose passwords are not that of the template."""
    made = []
    initialise = cluster._initialise

    def counted(of: cluster.Cluster, janitor: Janitor) -> None:
        made.append(of)
        initialise(of, janitor)

    monkeypatch.setattr(cluster, "_initialise", counted)
    passwords = set()
    for n in range(2):
        with postgres(log_path=tmp_path / f"{n}.log", janitor=NoJanitor()) as server:
            server.create_database("arm")
            passwords.add(server.password)
            (kept,) = cache.glob("brokenpipe/postgres-*/content.json")
            first = json.loads(kept.read_text())["password"]
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(_superuser(server, first))
    assert len(made) == 1
    assert len(passwords) == 2
    assert [path.name for path in kept.parent.parent.iterdir()] == [kept.parent.name], "nothing half-made"


@pytest.mark.parametrize("spoil", ["a file", "a byte", "the content"])
def test_a_spoilt_template_is_thrown_away(tmp_path: Path, spoil: str) -> None:
    """What is not whole is not used, and gone; the folder for the copy is empty again."""
    data, kept, copy = tmp_path / "data", tmp_path / "kept", tmp_path / "copy"
    (data / "base").mkdir(parents=True)
    (data / "base" / "1").write_text("one")
    (data / "PG_VERSION").write_text("17")
    copy.mkdir()
    template.save_template(kept, data, "secret", NoJanitor())
    assert template.copy_template(kept, tmp_path / "whole") == "secret"
    assert (tmp_path / "whole" / "base" / "1").read_text() == "one"
    spoilt: dict[str, Callable[[], object]] = {
        "a file": (kept / "data" / "base" / "1").unlink,
        "a byte": lambda: (kept / "data" / "PG_VERSION").write_text("1"),
        "the content": lambda: (kept / "content.json").write_text("null"),
    }
    spoilt[spoil]()
    assert template.copy_template(kept, copy) is None
    assert not kept.exists()
    assert list(copy.iterdir()) == []


def test_nobody_else_may_look(tmp_path: Path) -> None:
    """A template holds a password."""
    (tmp_path / "data").mkdir()
    template.save_template(tmp_path / "cache" / "kept", tmp_path / "data", "secret", NoJanitor())
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    assert (tmp_path / "cache" / "kept").stat().st_mode & 0o077 == 0


def test_programs_of_a_user_have_no_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they make is not known by its version."""
    monkeypatch.setenv(cluster.BINARIES_VARIABLE, "/anywhere")
    assert cluster._template_path(Path("/anywhere")) is None
