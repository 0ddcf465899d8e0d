"""How connections end is decided for a whole run, and they are renewed only where that cannot be."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.plans import scenario
from tests.unit.test_timeline import Log

from brokenpipe.drive.nemesis import Nemesis, nemesis
from brokenpipe.faults import SocketKill
from brokenpipe.history.records import FaultAction
from brokenpipe.plan.endings import first_ending, renewing_phases
from brokenpipe.plan.phases import Phase
from brokenpipe.plan.scenario import Scenario

PROJECT = Path(__file__).parents[2]
ARMS = ("plain", "pre_ping")
STEADY = {"name": "steady", "seconds": 2}
LATENCY = {"name": "latency", "fault": {"name": "latency", "ms": 5}, "seconds": 2}
SILENCE = {"name": "silence", "fault": {"name": "black_hole"}, "seconds": 2}
READ_ONLY = {
    "name": "read_only",
    "fault": {"name": "server_setting", "setting": "default_transaction_read_only"},
    "seconds": 2,
}
RESET = {"name": "reset", "fault": {"name": "socket_kill", "how": "reset"}, "episodes": 2, "every_s": 1.0}
FIN = {"name": "fin", "fault": {"name": "socket_kill", "how": "fin"}, "episodes": 2, "every_s": 1.0}
TERMINATED = {"name": "terminated", "fault": {"name": "backend_kill"}, "episodes": 2, "every_s": 1.0}
REFUSED = {"name": "refused", "fault": {"name": "refuse"}, "seconds": 2}


def _phases(*phases: Mapping[str, Any]) -> tuple[Phase, ...]:
    return scenario(*phases).phases


@pytest.mark.parametrize(
    ("phases", "first", "renewing"),
    [
        ((STEADY, LATENCY, SILENCE, READ_ONLY), None, ()),
        ((STEADY, LATENCY, RESET, SILENCE), "reset", ()),
        ((STEADY, FIN, TERMINATED, REFUSED), "fin", ()),
        ((STEADY, RESET, LATENCY, FIN, STEADY | {"name": "after"}), "reset", ("fin",)),
        ((TERMINATED, RESET, REFUSED), "fin", ("reset", "refused")),
        ((RESET, FIN | {"arms": ["plain"]}, RESET | {"name": "again"}), "reset", ("fin", "again")),
        ((RESET, FIN | {"arms": ["plain"]}, RESET | {"name": "again", "arms": ["pre_ping"]}), "reset", ("fin",)),
    ],
    ids=["nobody cares", "all by RST", "all by FIN", "one other", "back and forth", "one arm", "another arm"],
)  # fmt: skip
def test_connections_are_renewed_only_before_a_phase_that_needs_the_other_way(
    phases: tuple[Mapping[str, Any], ...], first: str | None, renewing: tuple[str, ...]
) -> None:
    """A run with one way of ending never renews; phases that do not care change nothing."""
    parsed = _phases(*phases)
    assert (first_ending(parsed), renewing_phases(parsed, ARMS)) == (first, renewing)


@pytest.mark.parametrize("path", sorted((PROJECT / "scenarios").glob("*.toml")), ids=lambda path: path.stem)
def test_our_own_scenarios_never_renew(path: Path) -> None:
    """Each of them needs one way of ending."""
    plan = Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")), strict=False)
    assert renewing_phases(plan.phases, plan.arms) == ()


@dataclass
class FakeProxy:
    """Nobody listens behind it."""

    rst_on_close: bool
    host: str = "127.0.0.1"
    port: int = 1
    calls: list[str] = field(default_factory=list)

    def set_rst_on_close(self, rst_on_close: bool) -> None:
        self.rst_on_close = rst_on_close
        self.calls.append("arm" if rst_on_close else "disarm")

    def kill(self) -> None:
        self.calls.append("kill")


@pytest.fixture
def proxies() -> dict[str, FakeProxy]:
    return {arm: FakeProxy(rst_on_close=True) for arm in ARMS}


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def actor(proxies: dict[str, FakeProxy], log: Log) -> Iterator[Nemesis]:
    with nemesis(proxies, None, log, log) as made:  # type: ignore[arg-type]
        yield made


def test_nothing_is_killed_between_phases(actor: Nemesis, proxies: dict[str, FakeProxy], log: Log) -> None:
    """Before a phase without a fault, or one for which connections end rightly, nothing is done to any."""
    for phase in _phases(STEADY, RESET, LATENCY, SILENCE):
        assert actor.prepare(phase) == ()
    assert [proxy.calls for proxy in proxies.values()] == [[], []]
    assert log.lines == []


def test_a_renewal_is_on_record(actor: Nemesis, proxies: dict[str, FakeProxy], log: Log) -> None:
    """Before a phase that needs the other way, once: each arm's proxy is told, then its connections end."""
    (fin,) = _phases(FIN)
    assert actor.prepare(fin) == ARMS
    assert actor.prepare(fin) == ()
    assert [proxy.calls for proxy in proxies.values()] == [["disarm", "kill"]] * 2
    acts = [line for line in log.lines if isinstance(line, FaultAction)]
    assert sorted((act.arm, act.action, act.phase) for act in acts) == [(arm, "renew", "fin") for arm in ARMS]


def test_only_the_arms_that_a_fault_happens_to_are_renewed(
    actor: Nemesis, proxies: dict[str, FakeProxy]
) -> None:
    """The others go on beside it untouched."""
    assert actor.renew(SocketKill(how="fin"), "it", ("plain",)) == ("plain",)
    assert (proxies["plain"].calls, proxies["pre_ping"].calls) == (["disarm", "kill"], [])
