"""Commands from the web page as they are carried out. Load and nemesis only take note."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.unit.plans import STEADY, TARGET, scenario
from tests.unit.test_timeline import Clock, FakeLoad, FakeNemesis, Hung, Log, Notes, fake_session

from brokenpipe.drive import run_session, timeline
from brokenpipe.drive.interactive import manual_run
from brokenpipe.drive.interactive.command_queue import Command, CommandQueue
from brokenpipe.drive.interactive.manual_run import ManualRun
from brokenpipe.drive.nemesis import nemesis
from brokenpipe.drive.watch import wait_limit
from brokenpipe.drive.watch.watch import NoSilenceMonitor
from brokenpipe.faults import AnyFault, Fault
from brokenpipe.history import records
from brokenpipe.load.web_messages import CommandName, CommandRequest
from brokenpipe.plan.plan import Plan

LATENCY = {"name": "latency", "ms": 25}
HOLE = {"name": "black_hole"}
QUIET = 50  # times that nobody wanted anything


@dataclass
class FakeProxy:
    """What the toxics of a proxy are set to."""

    toxics: dict[str, dict[str, int]] = field(default_factory=dict)

    def update(self, toxic: str, /, **attributes: int) -> None:
        self.toxics[toxic] = attributes


@dataclass
class HandNemesis(FakeNemesis):
    def time_round_trips(self) -> None:
        pass

    def arms_to_renew(self, *_: Any) -> tuple[str, ...]:
        return ()


class IdleCommandQueue(CommandQueue):
    """A command queue at which a moment passes when nobody wants anything, and Stop is pressed when that goes on."""

    clock: Clock
    idle = 0
    again: Callable[[], object] | None = None  # what is asked for once it has been quiet

    def take_next(self, timeout_s: float) -> Command | None:
        wish = super().take_next(0)
        self.clock.now += timeout_s
        self.idle = 0 if wish else self.idle + 1
        if self.idle == QUIET and self.again:
            again, self.again = self.again, None
            again()
        if self.idle > QUIET + 1:
            self.request_stop(self.clock.monotonic_ns())
        return wish


@dataclass
class Hand:
    """A run by hand with a fake stack, and what was asked and answered in it."""

    notes: Notes
    log: Log
    nemesis: HandNemesis
    commands: IdleCommandQueue
    plans: list[Plan] = field(default_factory=list)
    on_certify: Callable[[], object] = lambda: None
    watch: Any = field(default_factory=NoSilenceMonitor)
    drain_s: float = 1.0

    def ask(self, what: CommandName, fault: dict[str, Any] | None = None) -> str | None:
        return self.commands.submit(CommandRequest(1, what, fault or {}))

    def play(self) -> None:
        """Until nobody wants anything any more."""

        def certify(_: Fault) -> None:
            self.notes.clock.now += 1.0
            self.on_certify()

        ManualRun(
            session=fake_session(self.nemesis, self.log, self.watch, self.drain_s),
            plan=Plan(stem="hand", scenario=scenario(STEADY), target=TARGET, by_hand=True),
            commands=self.commands,
            on_plan=self.plans.append,
            self_test=certify,
        ).run()

    @property
    def acts(self) -> list[str]:
        return [each for each in self.notes.order if each in {"inject", "heal", "strike"}]

    def numbers(self, phase: str) -> list[int]:
        """Of the phase's episodes, as they were written down."""
        return [
            each.n for each in self.log.lines if isinstance(each, records.Episode) and each.phase == phase
        ]


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    notes = Notes(Clock())
    for module in (manual_run, run_session, timeline, wait_limit):
        monkeypatch.setattr(module, "time", notes.clock)
    desk = IdleCommandQueue(("plain", "pre_ping"), running=True, users=2)
    desk.clock = notes.clock
    return Hand(notes, Log(), HandNemesis(notes, FakeLoad(notes)), desk)


def test_a_second_hold_while_the_first_is_tried(hand: Hand) -> None:
    """It is refused: the first is injected once and healed, and nothing else has happened."""
    answers: list[str | None] = []
    hand.ask("hold", LATENCY)
    hand.on_certify = lambda: answers.append(hand.ask("hold", HOLE)) if not answers else None
    hand.play()
    assert "latency" in (answers[0] or "")
    assert "heal it first" in (answers[0] or "")
    assert hand.acts == ["inject", "heal"]
    assert hand.commands.held is None


def test_stop_while_a_fault_is_tried(hand: Hand) -> None:
    """Who presses Stop wants nothing more to happen: what was about to be held is not injected, and not held."""
    hand.ask("hold", LATENCY)
    hand.on_certify = lambda: hand.commands.request_stop(hand.notes.clock.monotonic_ns())
    hand.play()
    assert "inject" not in hand.acts
    assert hand.commands.held is None


def test_a_hold_after_a_heal(hand: Hand) -> None:
    """Asked for together, they are done in order: one fault is on at a time, and none is left."""
    hand.ask("hold", LATENCY)
    hand.on_certify = lambda: (hand.ask("heal"), hand.ask("hold", HOLE)) if not hand.acts else None
    hand.play()
    assert hand.acts == ["inject", "heal", "inject", "heal"]


def test_a_timeline_played_twice(hand: Hand) -> None:
    """The episodes of the second play have numbers of their own, and the plan says how many there were of both."""
    hand.ask("play")
    hand.commands.again = lambda: hand.ask("play")
    hand.play()
    assert hand.numbers("steady") == [0, 1, 2, 3]
    assert hand.plans[-1].scenario.phase("steady").count == 4


def test_a_timeline_played_by_hand_does_not_wait_for_what_stands_still(hand: Hand) -> None:
    """As in a run by file: requests that hang on a silent server are not waited for, and the play ends soon."""
    hand.watch, hand.drain_s = Hung(hand.notes.clock, since=hand.notes.clock.now), 1000.0
    hand.nemesis.load.hangs = True
    began = hand.notes.clock.now
    hand.ask("play")
    hand.play()
    planned_s = hand.plans[-1].scenario.forecast_s
    assert hand.notes.clock.now - began < planned_s + 100.0


def test_a_nemesis_heals_all_that_it_injected() -> None:
    """Whoever injects twice without healing between has two faults to heal, not one."""
    proxies = {"plain": FakeProxy()}
    faults = TypeAdapter[Fault](AnyFault)
    with nemesis(proxies, None, Log(), Log()) as actor:  # type: ignore[arg-type]
        for fault in (LATENCY, HOLE):
            actor.inject(faults.validate_python(fault), "phase")
    assert proxies["plain"].toxics == {
        "latency_downstream": {"latency": 0, "jitter": 0},
        "black_hole_upstream": {"swallow": 0},
        "black_hole_downstream": {"swallow": 0},
    }
