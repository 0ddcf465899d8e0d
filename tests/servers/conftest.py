"""One Postgres and one Toxiproxy for all combinations, and what starts a service with the witness in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.pools.conftest import (
    ARM,
    Service,
    Wire,
    _answers,
    database,
    how,
    toxiproxy,
    until,
    wire,
)

from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port
from brokenpipe.stack.processes.process import child, clean_environment
from brokenpipe.witness import environment

from .combinations import Combination

__all__ = ["database", "how", "toxiproxy", "wire"]

APPS = Path(__file__).parent / "apps"


@contextmanager
def started(combination: Combination, folder: Path, wire: Wire) -> Iterator[Service]:
    """The service of a combination, once it answers. The witness must have had no trouble in it."""
    port = free_port()
    words = {"python": sys.executable, "host": LOOPBACK, "port": str(port)}
    variables = {
        "BROKENPIPE_EVERY_REQUEST": "1",
        "DSN": wire.dsn("").replace("+", ""),
        "POOL": combination.pool_module,
    }
    with (
        ThreadPoolExecutor() as client,  # outermost: its requests end when the service does
        child(
            combination.server,
            [word.format(**words) for word in combination.command],
            log_path=folder / "service.log",
            janitor=NoJanitor(),
            env=clean_environment(environment(ARM, folder, pythonpath=str(APPS)) | variables),
            cwd=APPS,
        ) as process,
    ):
        service = Service(f"http://{LOOPBACK}:{port}", process, folder, wire.port, client)
        until(lambda: _answers(service, "/up"), f"{combination.name} to answer")
        yield service
        process.kill()
    testimony = "".join(path.read_text() for path in folder.glob("witness-*"))
    assert wire.database.password not in testimony, "a password was written"
    assert '"k":"trouble"' not in testimony, "the witness had trouble"
