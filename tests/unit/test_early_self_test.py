"""Faults tested while servers start: what holds then is believed, what does not is tested again once all is quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from brokenpipe.drive.observers.socket_observers import Observation
from brokenpipe.drive.self_test import wire
from brokenpipe.faults import Fault, Situation, SocketKill


@contextmanager
def _nothing(*_: Any, **__: Any) -> Iterator[Any]:
    yield SimpleNamespace(host="127.0.0.1", port=1)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Situation]:
    """The situations that were looked at, in order; until the machine is quiet, a killed connection is seen alive."""
    seen: list[Situation] = []

    def observe(fault: Fault, situation: Situation, _proxy: Any, quiet: Any) -> Observation:
        seen.append(situation)
        expected = getattr(fault.contract, situation)
        return Observation(expected.seen if quiet() else "alive", expected.earliest_s)

    monkeypatch.setattr(wire, "_observe", observe)
    monkeypatch.setattr(wire, "echo_server", _nothing)
    return seen


def _tested(quiet: Callable[[], bool], settle: Callable[[], None] | None) -> dict[str, bool]:
    server: Any = SimpleNamespace(scratch_proxy=_nothing)
    results = wire.self_test_faults([SocketKill()], server, _nothing, wire_of=lambda _: quiet, settle=settle)  # type: ignore[arg-type,return-value]
    return {result.situation: result.held for result in results}


def test_a_miss_beside_starting_servers_is_tested_again(looks: list[Situation]) -> None:
    """Once they have started; what held at once is not."""
    settled: list[bool] = []
    assert _tested(lambda: bool(settled), lambda: settled.append(True)) == {
        "idle": True,
        "fresh": True,
        "mid_transfer": True,
    }
    assert sorted(looks[3:]) == ["idle", "mid_transfer"]  # a fresh connection is alive in any case


def test_a_miss_on_a_quiet_machine_counts(looks: list[Situation]) -> None:
    """A fault that does nothing is found out, tested again or not."""
    assert _tested(lambda: False, lambda: None) == {"idle": False, "fresh": True, "mid_transfer": False}
    assert _tested(lambda: False, None) == {"idle": False, "fresh": True, "mid_transfer": False}
    assert len(looks) == (3 + 2) + 3
