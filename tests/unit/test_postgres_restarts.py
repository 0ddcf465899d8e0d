"""What restarts of Postgres leave behind in the harness: nothing, however many there are in a soak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from brokenpipe.stack.postgres import server
from brokenpipe.stack.postgres.server import Postgres, start_server

RESTARTS = 5


@dataclass
class CountingLaunch:
    """Starts nothing; counts the processes whose end was seen to."""

    host: str = "127.0.0.1"
    port: int = 1
    password: str = "secret"
    certificates: None = None
    started: int = 0
    ended: int = 0

    @contextmanager
    def start(self) -> Iterator[Any]:
        self.started += 1
        try:
            yield object()
        finally:
            self.ended += 1


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingLaunch]:
    """The launch of a server that was restarted a few times, and that runs."""
    monkeypatch.setattr(server, "_wait_ready", lambda _dsn, _child: "17.0")
    monkeypatch.setattr(server, "_prepare_superuser", lambda _dsn, _password: None)
    monkeypatch.setattr(Postgres, "_stop", lambda _self, _mode: None)
    monkeypatch.setattr(Postgres, "_listens", lambda _self: True)
    launch = CountingLaunch()
    running = start_server(launch)
    for _ in range(RESTARTS):
        running.restart("kill", 0.0, on_stopped=lambda: None, on_listening=lambda: None)
    yield launch
    running.close()
    assert launch.ended == launch.started


def test_a_restart_lets_go_of_the_process_before_it(restarted: CountingLaunch) -> None:
    """Its log and its place on the list of what is to end go with it: a soak restarts thousands of times."""
    assert (restarted.started, restarted.ended) == (1 + RESTARTS, RESTARTS)
