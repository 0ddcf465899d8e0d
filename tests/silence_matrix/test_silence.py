"""What each setting does about silence, measured anew on real sockets: the sentences of docs/silence.md."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.silence_matrix.page import page
from tests.silence_matrix.rows import DRIVERS, LIMIT_S, ROWS, Cell

REPOSITORY = Path(__file__).parents[2]
# Twice the limit and twice that on a busy machine, and less than psycopg takes to be cancelled.
PATIENCE_S = 9.0
HOLE, LOSS = "black hole", "packet loss"
USED, WAITING = "idle, then used", "in mid-query"

Cells = Mapping[tuple[str, str, str, str], Cell]


@pytest.fixture(scope="module")
def cells(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """The whole table."""
    file = tmp_path_factory.mktemp("silence") / "cells.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.silence_matrix", "--json", str(file), "--limit", str(PATIENCE_S)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {cell.place: cell for cell in (Cell(**raw) for raw in json.loads(file.read_text()))}


def _ended(cells: Cells, row: str, silence: str, situation: str) -> list[str]:
    """The drivers in which a request ended, with an error."""
    tried = [cells[place] for place in cells if place[1:] == (row, silence, situation)]
    assert "answered" not in {cell.error for cell in tried}
    return sorted(cell.driver for cell in tried if cell.after_s is not None)


@pytest.mark.parametrize("situation", [USED, WAITING])
@pytest.mark.parametrize("silence", [HOLE, LOSS])
@pytest.mark.parametrize("row", ["nothing", "pre-ping"])
def test_without_a_limit_every_driver_hangs(cells: Cells, row: str, silence: str, situation: str) -> None:
    """In both silences, used or in mid-query; pre-ping changes nothing."""
    assert _ended(cells, row, silence, situation) == []


@pytest.mark.parametrize("situation", [USED, WAITING])
@pytest.mark.parametrize("row", ["TCP_USER_TIMEOUT", "keepalives", "TCP_USER_TIMEOUT + keepalives"])
def test_the_kernel_can_do_nothing_about_a_black_hole(cells: Cells, row: str, situation: str) -> None:
    """Everything is acknowledged."""
    assert _ended(cells, row, HOLE, situation) == []


@pytest.mark.parametrize(("row", "ends"), [("TCP_USER_TIMEOUT", USED), ("keepalives", WAITING)])
def test_each_limit_of_the_kernel_has_a_gap_that_the_other_fills(cells: Cells, row: str, ends: str) -> None:
    """TCP_USER_TIMEOUT is for what is unacknowledged, keepalives are for when nothing is under way."""
    other = WAITING if ends == USED else USED
    assert _ended(cells, row, LOSS, ends) == sorted(DRIVERS)
    assert _ended(cells, row, LOSS, other) == []
    assert _ended(cells, "TCP_USER_TIMEOUT + keepalives", LOSS, other) == sorted(DRIVERS)
    assert {cells[driver, row, LOSS, ends].error.partition(", ")[2] for driver in DRIVERS} == {"ETIMEDOUT"}


def test_a_limit_is_not_reached_early(cells: Cells) -> None:
    """The kernel gives up at its limit or at the retransmission after it, never before."""
    for driver in DRIVERS:
        after_s = cells[driver, "TCP_USER_TIMEOUT", LOSS, USED].after_s
        assert after_s is not None
        assert after_s >= LIMIT_S - 0.05


def test_pre_ping_needs_a_connect_timeout(cells: Cells) -> None:
    """The ping fails in time, and the pool connects into the same silence: asyncpg hangs there, libpq has its limit."""
    assert _ended(cells, "the same + pre-ping", LOSS, USED) == ["psycopg", "psycopg2"]
    assert _ended(cells, "the same + pre-ping + connect timeout", LOSS, USED) == sorted(DRIVERS)


@pytest.mark.parametrize("situation", [USED, WAITING])
@pytest.mark.parametrize("silence", [HOLE, LOSS])
def test_only_a_limit_on_the_answer_ends_both_silences(cells: Cells, silence: str, situation: str) -> None:
    """The driver's, or one of the service's own: asyncpg obeys it within twice its value, psycopg much later."""
    assert _ended(cells, "command_timeout", silence, situation) == ["asyncpg"]
    assert _ended(cells, "asyncio.timeout around the request", silence, situation) == ["asyncpg"]


def test_the_page_has_every_cell(cells: Cells) -> None:
    """docs/silence.md has the lines that are measured, with what the same commands would write about them."""
    written = (REPOSITORY / "docs" / "silence.md").read_text()
    made = page(list(cells.values()), PATIENCE_S)
    for text in (written, made):
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        assert len(lines) == len(DRIVERS) + sum(len(row.drivers) for row in ROWS)
    assert written.partition("## What the tables say")[2] == made.partition("## What the tables say")[2]
