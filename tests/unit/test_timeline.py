"""In which order a timeline is played, and when each thing happens. Load and nemesis only take note."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import Any

import pytest
from tests.unit.plans import scenario

from brokenpipe.drive import run_session, timeline
from brokenpipe.drive.renewal import LEAST_WAIT_S
from brokenpipe.drive.run_session import RunSession
from brokenpipe.drive.timeline import LEAST_WARM_UP_S, WARM_UP_S, TimelinePlayer
from brokenpipe.drive.watch import wait_limit
from brokenpipe.drive.watch.watch import NoSilenceMonitor
from brokenpipe.drive.write_ledger_reader import NoLedgerReader
from brokenpipe.faults import Fault
from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.load.messages import Count
from brokenpipe.plan.phases import LEAD_S, SETTLE_S, Phase
from brokenpipe.plan.sequential import EpisodeRange
from brokenpipe.progress import Progress

PATIENCE_S = 15.0
PAUSE = {"name": "pause", "fault": {"name": "server_pause"}, "seconds": 3}
STEADY = {"name": "steady", "seconds": 4}


@dataclass
class Clock:
    """Time that passes when somebody sleeps."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Notes:
    """Who did what, and when, in seconds since the first note."""

    clock: Clock
    taken: list[tuple[str, float]] = field(default_factory=list)

    def take(self, what: str) -> None:
        self.taken.append((what, self.clock.now))

    def at(self, what: str) -> float:
        """When it happened, the first time."""
        return next(t for noted, t in self.taken if noted == what)

    @property
    def order(self) -> list[str]:
        return [what for what, _ in self.taken]


def count_up(step: int) -> Iterator[Count]:
    """Each time that it is asked, so many more requests were answered."""
    return (Count(step * n, step * n, 0) for n in count())


@dataclass
class FakeLoad:
    """Users whose requests hang while `hangs`: draining waits for as long as it may."""

    notes: Notes
    hangs: bool = False
    counts: Iterator[Count] = field(default_factory=lambda: repeat(Count(0, 0, 0)))

    @property
    def progress(self) -> Mapping[str, Count]:
        return {"plain": next(self.counts)}

    def check(self) -> None:
        pass

    def open(self, arms: Sequence[str] | None = None, **_: Any) -> None:
        self.notes.take("open" if arms is None else f"open {arms[0]}")

    def close(self) -> None:
        self.notes.take("close")

    def drain(self, timeout_s: float, in_vain: Callable[[], bool] = lambda: False) -> bool:
        self.notes.take("drain")
        self.notes.clock.now += (0.5 if in_vain() else timeout_s) if self.hangs else 0.05
        return not self.hangs


@dataclass
class FakeNemesis:
    """While a silence is held, requests hang."""

    notes: Notes
    load: FakeLoad
    renewed: tuple[str, ...] = ()
    proxies: Mapping[str, Any] = field(default_factory=lambda: {"plain": None, "pre_ping": None})

    def prepare(self, phase: Phase) -> tuple[str, ...]:
        self.notes.take(f"prepare {phase.name}")
        return self.renewed

    def inject(self, fault: Fault, _: str, **__: Any) -> int:
        self.notes.take("inject")
        self.load.hangs = fault.contract.mid_transfer.seen == "silence"
        return self.notes.clock.monotonic_ns()

    def heal(self, _: str) -> None:
        self.notes.take("heal")
        self.load.hangs = False

    def strike(self, *_: Any) -> int:
        self.notes.take("strike")
        return self.notes.clock.monotonic_ns()

    def check_held_fault(self, *_: Any) -> None:
        self.notes.take("watch")

    def join(self) -> None:
        self.notes.take("join")


@dataclass
class Log:
    lines: list[records.Record] = field(default_factory=list)

    def write(self, record: records.Record) -> None:
        self.lines.append(record)


def fake_session(nemesis: FakeNemesis, log: Log, watch: Any, drain_s: float) -> RunSession:
    """A session in which everything only takes note."""
    parts: dict[str, Any] = {"load": nemesis.load, "nemesis": nemesis, "log": log, "watch": watch}
    return RunSession(**parts, ledger=NoLedgerReader(), check_alive=lambda _: None, drain_s=drain_s)


@dataclass
class Played:
    """A timeline that was played, and what there is of it."""

    notes: Notes
    log: Log
    load: FakeLoad
    nemesis: FakeNemesis
    shown: list[Progress] = field(default_factory=list)
    watch: Any = field(default_factory=NoSilenceMonitor)

    def play(self, *phases: Mapping[str, Any], isolate: bool = False) -> str:
        plan = scenario(*phases).model_copy(update={"isolate": isolate})
        return TimelinePlayer(
            session=fake_session(self.nemesis, self.log, self.watch, PATIENCE_S + 1),
            scenario=plan,
            episode_ranges=[EpisodeRange(phase, 0, phase.count) for phase in plan.phases],
            on_progress=self.shown.append,
            started=self.notes.clock.now,
            total_s=0,
        ).run()

    def episodes(self, phase: str) -> list[tuple[float, float]]:
        found = [each for each in self.log.lines if isinstance(each, records.Episode)]
        return [(each.t0 / 1e9, each.t1 / 1e9) for each in found if each.phase == phase]

    def edges(self, phase: str) -> list[float]:
        found = [each for each in self.log.lines if isinstance(each, records.PhaseEdge)]
        return [each.t / 1e9 for each in found if each.name == phase]

    @property
    def doubts(self) -> list[records.RecordedDoubt]:
        return [each for each in self.log.lines if isinstance(each, records.RecordedDoubt)]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    notes = Notes(Clock())
    for module in (timeline, run_session, wait_limit):
        monkeypatch.setattr(module, "time", notes.clock)
    load = FakeLoad(notes)
    return Played(notes, Log(), load, FakeNemesis(notes, load))


def test_a_held_fault_lasts_what_it_says(played: Played) -> None:
    """Three seconds of silence are three, whatever users' patience: it is healed before the load is drained."""
    played.play(PAUSE)
    assert played.notes.at("heal") - played.notes.at("inject") == pytest.approx(3.0, abs=0.01)
    assert played.doubts == []
    end = played.notes.order[played.notes.order.index("inject") :]
    assert [each for each in end if each not in {"watch", "join"}] == ["inject", "close", "heal", "drain"]


@pytest.mark.parametrize(
    "fault",
    [{"name": "black_hole"}, {"name": "packet_drop"}, {"name": "refuse"}, {"name": "server_pause"}],
    ids=lambda fault: fault["name"],
)
def test_requests_that_it_hits_began_in_the_phase(played: Played, fault: Mapping[str, Any]) -> None:
    """What ends or silences requests comes a moment after its first episode began; that one is longer by it."""
    played.play({"name": "it", "fault": fault, "seconds": 4})
    inject, episodes = played.notes.at("inject"), played.episodes("it")
    assert inject - episodes[0][0] == pytest.approx(LEAD_S)
    assert [t1 - inject for _, t1 in episodes] == pytest.approx([2.0, 4.0])
    assert episodes[1][0] == episodes[0][1]
    assert played.edges("it") == pytest.approx([episodes[0][0], inject + 4.0])


@pytest.mark.parametrize("each", [Count(10, 10, 0), Count(10, 10, 10)], ids=["answered", "failed"])
def test_a_warm_up_is_over_when_every_arm_has_answered(played: Played, each: Count) -> None:
    """As many requests as it has users, without a failure. An arm that has not is given the time there is."""
    played.load.counts = (each if "open" in played.notes.order else Count(0, 0, 0) for _ in count())
    played.play(STEADY)
    warm_up_s = WARM_UP_S if each.failed else LEAST_WARM_UP_S
    began = played.edges("steady")[0]
    assert began - played.notes.at("open") == pytest.approx(warm_up_s + SETTLE_S)


@pytest.mark.parametrize("answered", [True, False])
def test_a_lead_in_is_as_long_as_a_burst(played: Played, *, answered: bool) -> None:
    """If every arm answers in it; else it goes on for as long as before any other phase."""
    played.load.counts = count_up(10) if answered else repeat(Count(0, 0, 0))
    bursts = {"fault": {"name": "idle_reset", "after_ms": 300}, "episodes": 2, "quiet_s": 0.6, "burst_s": 0.4}
    played.play(STEADY, {"name": "idle"} | bursts)
    opened = [t for what, t in played.notes.taken if what == "open"][1]
    lead_in_s = 0.4 if answered else SETTLE_S
    assert played.edges("idle")[0] - opened == pytest.approx(lead_in_s + 0.05)


def test_a_latency_counts_when_pools_have_grown_to_it(played: Played) -> None:
    """It comes to full pools, and for a moment under it nothing counts; then it is there for all that counts."""
    played.play({"name": "slow", "fault": {"name": "latency", "ms": 25}, "seconds": 4})
    opened, inject = played.notes.at("open"), played.notes.at("inject")
    assert inject - opened == pytest.approx(WARM_UP_S + SETTLE_S)
    assert played.edges("slow") == pytest.approx([inject + SETTLE_S, inject + SETTLE_S + 4.0])
    assert played.notes.at("heal") == pytest.approx(inject + SETTLE_S + 4.0)
    order = played.notes.order
    assert order.index("join") < order.index("heal"), "a delay is witnessed while it is there"


def test_an_idle_limit_begins_with_the_first_pause(played: Played) -> None:
    """The burst before it does not count and is without it; it is gone before the last burst is drained."""
    played.play(
        {
            "name": "idle",
            "fault": {"name": "idle_reset", "after_ms": 300},
            "episodes": 2,
            "quiet_s": 0.6,
            "burst_s": 0.4,
        }
    )
    order = [each for each in played.notes.order if each not in {"watch", "join"}]
    assert order == [
        "drain", "prepare idle", "open", "drain",
        "inject", "open", "drain", "open", "close", "heal", "drain",
    ]  # fmt: skip


def test_a_silence_in_bursts_waits_for_nobody(played: Played) -> None:
    """Where all hang until it is healed, users pause between bursts without waiting for an end."""
    played.play(
        {"name": "it", "fault": {"name": "black_hole"}, "episodes": 3, "quiet_s": 1.0, "burst_s": 0.5}
    )
    assert played.notes.at("heal") - played.notes.at("inject") == pytest.approx(4.5, abs=0.01)
    assert played.doubts == []


def test_turns_under_latency_are_healed_before_the_last_is_drained(played: Played) -> None:
    """Where arms take turns, each is drained before the next; the last one after the fault is gone."""
    played.play({"name": "slow", "fault": {"name": "latency", "ms": 5}, "seconds": 2}, isolate=True)
    order = [each for each in played.notes.order if each not in {"watch", "join"}]
    assert order[order.index("inject") :] == [
        "inject", "drain", "drain", "open plain", "drain", "open pre_ping", "close", "heal", "drain",
    ]  # fmt: skip


def test_a_fault_that_waits_is_healed_when_its_testimony_is_in(played: Played) -> None:
    """A commit_cut is looked for until its episode is over, and waits no longer after its phase."""
    played.play({"name": "cut", "fault": {"name": "commit_cut"}, "episodes": 1, "every_s": 1.0})
    assert [each for each in played.notes.order if each in {"strike", "join", "heal"}][:3] == [
        "strike",
        "join",
        "heal",
    ]


def test_an_arm_whose_connections_were_renewed_answers_before_anything_counts(played: Played) -> None:
    """The lead-in is over when each has answered something that was no failure; until then failures are nobody's."""
    played.nemesis.renewed = ("plain",)
    # Everything fails thirty times, and half of it for ever.
    played.load.counts = (Count(2 * n + 1, 2 * n, min(2 * n, 30) + max(n - 15, 0)) for n in count())
    played.play(STEADY)
    began = played.edges("steady")[0]
    assert began - played.notes.at("open") > LEAST_WARM_UP_S + SETTLE_S + LEAST_WAIT_S
    assert played.doubts == []


def test_an_arm_that_does_not_come_back_is_a_doubt(played: Played) -> None:
    """It never answers: nobody waits for ever, and nothing of it is believed."""
    played.nemesis.renewed = ("plain",)
    played.load.counts = repeat(Count(4, 0, 0))
    played.play(STEADY)
    (doubt,) = played.doubts
    assert (doubt.code, doubt.arm, doubt.unknown) == (Code.NOT_BACK_AFTER_RENEWAL, "plain", True)
    assert "before steady" in doubt.text


def test_a_phase_is_shown_once_more_when_its_last_requests_are_over(played: Played) -> None:
    """What its requests came to is known only then."""
    played.play(STEADY, PAUSE)
    drained = [t for what, t in played.notes.taken if what == "drain"]
    assert [each.phase for each in played.shown if each.elapsed_s + 1000.0 >= drained[-1]][-1] == "pause"
    assert "steady" in {each.phase for each in played.shown if each.elapsed_s + 1000.0 > drained[1]}


@dataclass
class Hung:
    """Something is silent from a moment on. What it is told of loops that woke late, in seconds."""

    clock: Clock
    since: float
    late: list[float] = field(default_factory=list)

    def silent_for_s(self, _: object = None) -> float:
        return max(0.0, self.clock.now - self.since)

    def record_late(self, since: int, until: int) -> None:
        self.late.append((until - since) / 1e9)


def test_what_stands_still_is_not_waited_for(played: Played) -> None:
    """With a database that hangs, each pause between phases would take as long as users' patience."""
    played.load.hangs = True
    played.nemesis.heal = lambda _: None  # type: ignore[method-assign]
    began = played.notes.clock.now
    played.watch = Hung(played.notes.clock, since=began - 5)
    played.play(STEADY, STEADY | {"name": "steady_again"})
    overrun_s = played.notes.clock.now - began - 8 - WARM_UP_S - 2 * SETTLE_S
    assert overrun_s < PATIENCE_S
    assert {doubt.code for doubt in played.doubts} == {Code.NOT_DRAINED}
    assert "0.5 s after" in played.doubts[-1].text


def test_a_run_whose_time_is_over_does_not_wait_for_what_stands_still(played: Played) -> None:
    """It ends a few seconds later, healed, with the edge of the phase that it was in: however long it took to start."""
    clock = played.notes.clock

    def strike_slowly(*_: object) -> int:
        clock.sleep(6)
        return clock.monotonic_ns()

    played.nemesis.strike = strike_slowly  # type: ignore[method-assign]
    played.watch = Hung(clock, since=clock.now + 12)
    began, clock.now = clock.now, clock.now + 60
    strikes = {"name": "kill", "fault": {"name": "socket_kill"}, "episodes": 40, "every_s": 1.0}
    assert played.play(STEADY, strikes) == "hung"
    assert len(played.edges("kill")) == 2
    assert 40 < played.edges("kill")[1] - played.edges("kill")[0] < 70
    assert played.notes.order[-1] in {"heal", "join"}
    assert clock.now - began < 60 + 4 + 40 + 30


def test_a_server_that_a_fault_has_stand_still_is_waited_for(played: Played) -> None:
    """It goes on when it is healed, and what the watch says of it is what the fault does."""
    played.watch = Hung(played.notes.clock, since=played.notes.clock.now + 3)
    played.play(PAUSE | {"seconds": 30})
    assert played.edges("pause")[1] - played.edges("pause")[0] == pytest.approx(30, abs=0.5)


def test_a_loop_that_stands_still_is_told(played: Played) -> None:
    """What holds up the loop of the harness, such as a terminal that takes no output, delays every act."""
    played.watch = Hung(played.notes.clock, since=played.notes.clock.now + 1_000)
    checks = iter([0.0, 0.9, 3.0])
    played.load.check = lambda: played.notes.clock.sleep(next(checks, 0.0))  # type: ignore[method-assign]
    played.play(STEADY)
    assert played.watch.late == [pytest.approx(3.0, abs=0.3)]
