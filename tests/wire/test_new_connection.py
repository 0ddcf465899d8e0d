"""Whether a server answers somebody new, and that nobody waits for one that does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from brokenpipe.drive.watch.new_connection import pgbouncer_answers, postgres_answers
from brokenpipe.errors import PgBouncerError
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings as Settings
from brokenpipe.stack.pgbouncer.server import pgbouncer
from brokenpipe.stack.postgres.bounded_connection import connect_bounded
from brokenpipe.stack.postgres.server import Postgres
from brokenpipe.stack.processes.janitor import NoJanitor

HANG_S = 30.0  # no bound here is half as long


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    psutil.Process(pid).suspend()
    try:
        yield
    finally:
        psutil.Process(pid).resume()


def test_a_postmaster_that_stands_still_answers_nobody_new(running: Postgres) -> None:
    """Sessions that are open go on: only who comes anew can tell."""
    assert postgres_answers(running) is True
    with connect_bounded(running.dsn(), within_s=HANG_S) as session:
        with stopped(running.child.pid):
            assert postgres_answers(running) is False
            assert session.execute("SELECT 1").fetchone() == (1,)
        assert postgres_answers(running) is True


def test_a_refusal_is_an_answer(running: Postgres) -> None:
    """Of a server that is full, or that lets nobody in, others tell."""
    password, running.password = running.password, "another"
    try:
        assert postgres_answers(running) is True
    finally:
        running.password = password


def test_a_pooler_that_stands_still_answers_nobody_new(running: Postgres, tmp_path: Path) -> None:
    """Whoever asks: nobody has to log in for that."""
    database = running.create_database("pooled")
    try:
        with pgbouncer(
            Settings(pool_mode="transaction"),
            (database,),
            log_path=tmp_path / "pgbouncer.log",
            janitor=NoJanitor(),
        ) as pooler:
            assert [pgbouncer_answers(pooler) for _ in range(20)] == [True] * 20
            with stopped(pooler.child.pid):
                assert pgbouncer_answers(pooler) is False
    except PgBouncerError as error:
        pytest.skip(f"{error.message}: {error.remedy}")


@pytest.mark.parametrize("how", ["time", "vain"])
def test_a_connection_ends_when_its_time_is_over(running: Postgres, how: str) -> None:
    """A driver waits for as long as there is no answer, and a backend that stands still has no time limit."""
    began = time.monotonic()
    with (
        pytest.raises(psycopg.OperationalError),
        connect_bounded(
            running.dsn(),
            within_s=1.0 if how == "time" else 2 * HANG_S,
            give_up=lambda: how == "vain" and time.monotonic() - began > 1.0,
        ) as session,
        stopped(session.info.backend_pid),
    ):
        session.execute("SELECT 1")
    assert time.monotonic() - began < HANG_S
