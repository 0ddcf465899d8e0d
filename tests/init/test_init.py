"""`init --yes` where nobody knows of brokenpipe: each service is started once and proved, and one is played."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.init.conftest import Layout
from tests.stack.runs import Starter

PROOFS = {
    "orders": [
        "prepared: 1 command",
        "ready: `ready` = /healthz",
        "GET /orders: 200",
        "GET /orders/{order_id}: 404",
    ],
    "library": [
        "prepared: 1 command",
        "ready: `ready` = /health/",
        "GET /books/: 200",
        "GET /books/{book_id}/: 404",
    ],
    "shop": [
        "prepared: 1 command",
        "its port accepts connections",
        "GET /articles: 200",
        "GET /articles/{article}: 200",
    ],
    "invoices": ["its port accepts connections", "GET /invoices/total: 200"],
}


@pytest.fixture
def brokenpipe(tmp_path: Path) -> Starter:
    return Starter(tmp_path)


@pytest.mark.parametrize("name", PROOFS)
def test_a_service_is_proved_without_an_edit(name: str, layout: Layout, brokenpipe: Starter) -> None:
    """Prepared, ready, every endpoint answered, and the database reached through the proxy."""
    with brokenpipe.start("init", "--yes", cwd=layout(name)) as run:
        assert run.end() == 0, run.out
    assert "through the proxy" in run.out
    assert not [proof for proof in PROOFS[name] if proof not in run.out], run.out


def test_a_migration_that_fails(layout: Layout, brokenpipe: Starter) -> None:
    """Exit 4, with the command, its own last lines and the key; the files are there to be corrected."""
    root = layout("orders")
    (root / "migrations" / "versions" / "0001_orders.py").write_text(
        "raise RuntimeError('half a migration')\n"
    )
    with brokenpipe.start("init", "--yes", cwd=root) as run:
        assert run.end() == 4, run.out
    assert (
        "the database of arm as_it_is is not prepared: `{python} -m alembic upgrade head` ended with exit"
        in run.out
    )
    assert "RuntimeError: half a migration" in run.out
    assert "Correct prepare[0] in targets/orders/target.toml" in run.out
    assert "Traceback (most recent call last)" not in run.out.partition("error: ")[0]
    assert (root / "brokenpipe" / "targets" / "orders" / "target.toml").exists()


def test_a_repository_is_played_without_an_edit(layout: Layout, brokenpipe: Starter) -> None:
    """`init --yes`, then `run default` in a folder below: a verdict, in brokenpipe/reports."""
    root = layout("notes")
    with brokenpipe.start("init", "--yes", cwd=root) as made:
        assert made.end() == 0, made.out
    assert "GET /notes/{note}: 404" in made.out
    with brokenpipe.start("run", "default", cwd=root / "app") as run:
        assert run.end() in {0, 3}, run.out
    summary = json.loads(
        (root / "brokenpipe" / "reports" / "default" / "latest" / "summary.json").read_text()
    )
    cells = summary["arms"]["as_it_is"]["phases"]
    assert summary["verdict"] == "pass" or run.popen.returncode == 3, run.out
    assert cells["steady"]["failed"] == 0
    assert cells["socket_kill"]["episodes"] == 6
