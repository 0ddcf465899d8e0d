"""What is said twice of the containers is the same."""

from __future__ import annotations

from pathlib import Path

import yaml

from brokenpipe.stack.compose_file import (
    AGENT_IMAGE,
    PGBOUNCER_IMAGE,
    POSTGRES_IMAGE,
    TOXIPROXY_IMAGE,
)

PIECES = Path(__file__).parents[2] / "compose" / "pieces.yaml"


def test_images_that_are_asked_for_are_those_of_the_pieces() -> None:
    """Before a run they are looked for by these names, and compose starts those of the file."""
    pieces = yaml.safe_load(PIECES.read_text(encoding="utf-8"))["services"]
    assert {name: piece["image"] for name, piece in pieces.items()} == {
        "postgres": POSTGRES_IMAGE,
        "place": POSTGRES_IMAGE,
        "toxiproxy": TOXIPROXY_IMAGE,
        "pgbouncer": PGBOUNCER_IMAGE,
        "agent": AGENT_IMAGE,
    }
